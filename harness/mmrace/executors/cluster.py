# SPDX-License-Identifier: GPL-2.0-only
"""Cells run on a Dask cluster (https://distributed.dask.org), behind the executors' interface."""

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

WAIT = 30.0  # seconds for the first worker to be there
LOOK = 5.0  # seconds for which the number of slots is believed
MOST = 4096  # groups under way; a thread each, which waits


class ClusterExecutor:
    """Groups are tasks; a file that a worker lacks is sent to it once.

    Finished runs come back whole and appear in the home by rename. A group that a dead worker had
    begun is run by another one; ids are fixed before, so that a run which comes twice counts once.
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
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its errors are ours to tell
        try:
            self._client = Client(address.url, security=address.security(), timeout=WAIT)
            self._client.wait_for_workers(1, timeout=WAIT)
        except (*GONE, TimeoutError) as error:
            raise InfraError(
                f"no workers at {address.url}: {error}; start `mmrace worker {address.url}`"
            ) from error
        self._client.subscribe_topic(TOPIC, self._heard)
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
        """Guests that all workers run at a time now; workers come and go."""
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            try:
                workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            except GONE:
                return self._slots
            # While there is none, one group waits for the next.
            self._slots = sum(map(guests_of, workers)) or min(1, self._slots)
        return self._slots

    @property
    def ahead(self) -> int:
        """Groups that should be under way: for each slot one that runs, and one that waits there.

        A slot that had to wait for the next group to be sent would lose some 2 % of ten seconds.
        """
        return 2 * self.slots

    @property
    def dashboard(self) -> str:
        """Address of Dask's own page."""
        return str(self._client.dashboard_link)

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Have a group planned here and run by one worker."""
        made: Future[Runs] = Future()
        self._pool.submit(self._settle, made, plan, step or self._step)
        return made

    def close(self) -> None:
        """Give up what has not ended; workers end the guests of it."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close(timeout=5)

    def _heard(self, event: tuple[float, Any]) -> None:
        self.board.heard(event[1])

    def _settle(self, made: "Future[Runs]", plan: Plan, step: Step) -> None:
        """Give a future its runs, unless nobody wants them any more."""
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

    def _run(self, plan: Plan, step: Step, asked: "Future[Runs]") -> Runs:
        with self._planning:
            cells = plan()
        there = {cell.id: find_finished(self._home, cell.id) for cell in cells}
        wanted = tuple(cell for cell in cells if there[cell.id] is None)
        title = ", ".join(f"{cell.spec.race.name}/{cell.spec.workload.name}" for cell in wanted)
        with step(title or "nothing to run") as tell:
            try:
                made = {run.id: run for run in self._cells.run(wanted, asked)} if wanted else {}
            except InfraError:
                if asked.cancelled():
                    tell("= not needed any more")
                raise
            said = (run.judgement() for run in made.values())
            tell("= " + "; ".join(f"{one.outcome} {one.title}".strip() for one in said))
        return tuple(made.get(cell.id) or RunDir(self._home.runs / cell.id) for cell in cells)
