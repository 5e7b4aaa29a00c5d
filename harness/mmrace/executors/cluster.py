# SPDX-License-Identifier: GPL-2.0-only
"""The executor for a Dask cluster (https://distributed.dask.org)."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from distributed import Client

from mmrace.errors import InfraError
from mmrace.executors.address import Address
from mmrace.executors.board import Board
from mmrace.executors.builds import RemoteBuilds
from mmrace.executors.dispatch import GONE, Dispatch, guests_of
from mmrace.executors.executor import Plan, Runs
from mmrace.executors.remote import RemoteCells
from mmrace.executors.worker import TOPIC
from mmrace.home import Home
from mmrace.progress import Step
from mmrace.runs.record import RunDir, find_finished

WAIT = 30.0  # seconds to wait for the first worker
LOOK = 5.0  # seconds for which the number of slots is cached
MOST = 4096  # groups under way at most; each occupies a waiting thread


class ClusterExecutor:
    """Submits each group as one Dask task; sends a file that a worker lacks once.

    Finished runs are sent back whole and published by rename. When a worker dies, another one runs
    its group. Run ids are fixed before submission, so a run that arrives twice counts once.
    """

    def __init__(
        self,
        home: Home,
        step: Step,
        address: Address,
        store: str = "",
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._home = home
        self._step = step
        self._address = address.url
        self.board = Board()
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # mmrace reports its errors
        try:
            self._client = Client(address.url, security=address.security(), timeout=WAIT)
            self._client.wait_for_workers(1, timeout=WAIT)
        except (*GONE, TimeoutError) as error:
            raise InfraError(
                f"no workers at {address.url}: {error}; start `mmrace worker {address.url}`"
            ) from error
        self._client.subscribe_topic(TOPIC, self._record_event)
        self._looked = 0.0
        self._slots = 0
        self._dispatch = Dispatch(home, self._client, self.board, store, note)
        self._cells = RemoteCells(home, self._dispatch)
        self.build = RemoteBuilds(self._dispatch)
        self._pool = ThreadPoolExecutor(MOST)
        self._planning = threading.Lock()
        if not self.slots:
            raise InfraError(
                f"{self._address} has only plain Dask workers; start `mmrace worker` on their hosts"
            )

    @property
    def slots(self) -> int:
        """Guests that all workers together can run at a time now; workers come and go."""
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            try:
                workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            except GONE:
                return self._slots
            # While no worker is there, one group waits for the next worker.
            self._slots = sum(map(guests_of, workers)) or min(1, self._slots)
        return self._slots

    @property
    def ahead(self) -> int:
        """Groups to keep under way: for each slot one that runs and one that waits at the worker.

        A slot that waits for the next group to be sent loses about 2 % of a run of 10 s.
        """
        return 2 * self.slots

    @property
    def dashboard(self) -> str:
        """URL of Dask's dashboard."""
        return str(self._client.dashboard_link)

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Plan a group on this host and have one worker run it."""
        made: Future[Runs] = Future()
        self._pool.submit(self._settle, made, plan, step or self._step)
        return made

    def close(self) -> None:
        """Cancel all groups that have not ended; the workers then end their guests."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close(timeout=5)

    def _record_event(self, event: tuple[float, Any]) -> None:
        self.board.record_event(event[1])

    def _settle(self, made: "Future[Runs]", plan: Plan, step: Step) -> None:
        """Run a group and set the future's result or exception, unless the future is cancelled."""
        if made.cancelled():
            return
        try:
            runs = self._run(plan, step, made)
        except BaseException as error:
            with suppress(InvalidStateError):
                made.set_exception(error)
        else:
            with suppress(InvalidStateError):
                made.set_result(runs)

    def _run(self, plan: Plan, step: Step, result: "Future[Runs]") -> Runs:
        with self._planning:
            cells = plan()
        there = {cell.id: find_finished(self._home, cell.id) for cell in cells}
        unfinished = tuple(cell for cell in cells if there[cell.id] is None)
        title = ", ".join(f"{cell.spec.race.name}/{cell.spec.workload.name}" for cell in unfinished)
        with step(title or "nothing to run") as tell:
            try:
                made = (
                    {run.id: run for run in self._cells.run(unfinished, result)}
                    if unfinished
                    else {}
                )
            except InfraError:
                if result.cancelled():
                    tell("= not needed any more")
                raise
            judgements = (run.judgement() for run in made.values())
            tell("= " + "; ".join(f"{one.outcome} {one.title}".strip() for one in judgements))
        return tuple(made.get(cell.id) or RunDir(self._home.runs / cell.id) for cell in cells)
