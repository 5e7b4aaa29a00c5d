# SPDX-License-Identifier: GPL-2.0-only
"""Cells run by this process on this machine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.executors.executor import Plan, Runs
from mmrace.home import Home
from mmrace.progress import Step
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
            if self._closed.is_set():
                raise InfraError("interrupted; the same command goes on from here")
            made.append(run(self._home, cell, step))
        return tuple(made)


def with_event_loop(call: Callable[[], T]) -> T:
    """Run ``call`` with an event loop and close it; qemu.qmp would create one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return call()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
