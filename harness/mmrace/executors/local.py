# SPDX-License-Identifier: GPL-2.0-only
"""Cells run by this process on this machine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.executors.executor import Plan, Runs
from mmrace.home import Home
from mmrace.progress import Step
from mmrace.runs.planner import run


class LocalExecutor:
    """``slots`` guests at a time; with one slot a group runs while it is submitted.

    With one slot nothing runs in a thread, so that Ctrl-C ends the guest where it runs.
    """

    def __init__(self, home: Home, step: Step, slots: int = 1) -> None:
        self.slots = self.ahead = slots
        self._home = home
        self._step = step
        self._pool = ThreadPoolExecutor(slots) if slots > 1 else None
        self._closed = Event()

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Have a group planned and run."""
        step = step or self._step
        if self._pool:
            return self._pool.submit(_with_event_loop, lambda: self._run(plan, step))
        done: Future[Runs] = Future()
        try:
            done.set_result(self._run(plan, step))
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Cancel what has not begun, and end the guests that run."""
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


def _with_event_loop(call: Callable[[], Runs]) -> Runs:
    """Give a thread the event loop that QMP's library would leave open in it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return call()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
