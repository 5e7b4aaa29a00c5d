# SPDX-License-Identifier: GPL-2.0-only
"""Cells run by this process on this machine."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import TypeVar

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.executors.executor import Plan, Runs
from mmrace.home import Home
from mmrace.progress import Step, Tell
from mmrace.runs.planner import run

T = TypeVar("T")


class LocalExecutor:
    """Runs up to ``slots`` guests at a time.

    With one slot a group runs inside ``submit``, in the calling thread, so that Ctrl-C ends its
    guest.
    """

    def __init__(self, home: Home, step: Step, slots: int = 1) -> None:
        self.slots = self.ahead = slots
        self._home = home
        self._step = step
        self._pool = ThreadPoolExecutor(slots) if slots > 1 else None
        self._closed = Event()

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Have a group planned and run; see Executor.submit."""
        step = step or self._step
        if self._pool:
            return self._pool.submit(with_event_loop, lambda: self._run(plan, step))
        done: Future[Runs] = Future()
        try:
            done.set_result(self._run(plan, step))
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Cancel groups that have not begun, and end the running guests."""
        if not self._pool or self._closed.is_set():
            return
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        proc.end_consoles()
        self._pool.shutdown(wait=True)

    def _run(self, plan: Plan, step: Step) -> Runs:
        made = []
        for cell in plan():
            self._check_open()
            made.append(run(self._home, cell, partial(self._until_closed, step)))
        return tuple(made)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise InfraError("interrupted; the same command goes on from here")

    @contextmanager
    def _until_closed(self, step: Step, title: str) -> Iterator[Tell]:
        """A step that raises once the executor is closed: a run whose guest was ended would else
        be made once more, as if QEMU had failed.
        """
        with step(title) as tell:

            def told(text: str) -> None:
                self._check_open()
                tell(text)

            yield told


def with_event_loop(call: Callable[[], T]) -> T:
    """Run ``call`` with an event loop and close it; qemu.qmp would create one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return call()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
