# SPDX-License-Identifier: GPL-2.0-only
"""Delivery of jobs: to a worker, to another worker after a failure, and their results back."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, KilledWorker
from distributed import Future as Remote
from distributed.comm.core import CommClosedError
from pydantic import ValidationError

from mmrace.errors import InfraError
from mmrace.executors import worker
from mmrace.executors.board import Board
from mmrace.executors.objects import place_of
from mmrace.executors.shipment import Receipt
from mmrace.executors.store import write_stored
from mmrace.home import Home

TRIES = 3  # workers that may fail on one job
GIVEN = 3  # times that the same file is sent to one worker
POLL = 5.0  # seconds between checks on a job under way
SKEW = 60.0  # seconds; a larger difference to a worker's clock is reported
GONE = (CancelledError, CommClosedError, OSError)
Arrived = tuple[Receipt, tuple[bytes, ...]]


@dataclass(frozen=True)
class Job:
    """What one worker has to do in one task.

    ``ids``: of its cells, or the id of a build. ``what``: its name in error messages. The worker
    executes ``call`` with the text that ``sent`` returns for the names of the workers that failed
    before. ``files``: SHA-256 of each file that the job needs, by name.
    """

    ids: tuple[str, ...]
    what: str
    title: str
    call: Callable[[str], worker.Answer]
    sent: Callable[[tuple[str, ...]], str]
    files: Mapping[str, str]
    resources: Mapping[str, int] = field(default_factory=lambda: {worker.RESOURCE: 1})


class Dispatch:
    """Sends jobs to the workers of one cluster; each job has a thread of its own.

    ``note`` prints one line for people.
    """

    def __init__(
        self, home: Home, client: Client, board: Board, store: str, note: Callable[[str], None]
    ) -> None:
        self.store = store
        self._home = home
        self._client = client
        self._board = board
        self._note = note
        self._keys = itertools.count()
        self._lock = threading.Lock()
        self._under_way = 0
        self._skewed: set[str] = set()

    def deliver(self, job: Job, waiting: "Future[Any] | None" = None) -> Arrived:
        """Have one worker do a job; send it the files that it lacks.

        ``waiting``: the future of the experiment that waits for the job; cancelling it cancels the
        job. Raises InfraError, naming the workers, when TRIES workers or all workers have failed.
        """
        if self.store:
            for name in job.files:
                write_stored(self.store, place_of(self._home, name))
        with self._board.group(job.ids, job.title):
            return self._deliver(job, waiting or Future())

    def _deliver(self, job: Job, waiting: "Future[Any]") -> Arrived:
        tried: dict[str, str] = {}
        given: list[str] = []
        while True:
            receipt, archives = self._send(job, tuple(tried), waiting)
            fault = receipt.failure or receipt.spoilt
            if receipt.missing:
                fault = self._give(receipt, job.files, given)
                if not fault:
                    continue
            if fault:
                tried[receipt.worker] = fault
                others = set(self._addresses()) - set(tried)
                if len(tried) < TRIES and others:
                    self._note(f"worker {receipt.worker}: {fault}; sent to another worker")
                    continue
            if not receipt.runs and not receipt.refused:
                raise InfraError(f"{job.what} failed on every worker tried: {_each(tried)}")
            return receipt, archives

    def _send(self, job: Job, tried: tuple[str, ...], waiting: "Future[Any]") -> Arrived:
        """Submit a job, preferably to a worker that has not failed on it; await its receipt."""
        there = self._addresses().items() if tried else ()
        others = [url for name, url in there if name not in tried]
        with self._lock:
            self._under_way += 1
            rank = self._under_way
        try:
            future = self._client.submit(
                job.call,
                job.sent(tried),
                key=f"{job.ids[0]}-{next(self._keys)}",
                pure=False,
                resources=dict(job.resources),
                # Each user's nth job has the same priority, however many jobs others submitted.
                priority=-rank,
                workers=others or None,
                allow_other_workers=bool(others),
            )
            receipt, archives = self._arrived(future, job, waiting)
        finally:
            with self._lock:
                self._under_way -= 1
        self._board.ended(receipt.worker, len(receipt.runs))
        self._look_at_clock(receipt)
        return receipt, archives

    def _arrived(self, future: "Remote[Any]", job: Job, waiting: "Future[Any]") -> Arrived:
        try:
            if not _ended(future, lambda: len(self._board.begun(job.ids[0])) > TRIES, waiting):
                raise self._killed(job)
            if waiting.cancelled():
                raise InfraError(f"{job.what} was given up")
            text, archives = future.result()
            return Receipt.model_validate_json(text), archives
        except KilledWorker as error:
            raise self._killed(job) from error
        except GONE as error:
            raise InfraError(
                "the scheduler is gone; start it and its workers, and the same command goes on"
            ) from error
        except ValidationError as error:
            raise InfraError(f"{job.what}: its worker has another version of mmrace") from error
        finally:
            future.release()

    def _killed(self, job: Job) -> InfraError:
        begun = self._board.begun(job.ids[0])[:TRIES]
        names = ", ".join(begun) or "workers that had not begun it"
        return InfraError(f"{job.what} ended {TRIES} workers: {names}; see their logs")

    def _give(self, receipt: Receipt, files: Mapping[str, str], given: list[str]) -> str:
        """Send a worker the files that it lacks; return an error message, "" on success."""
        for name in receipt.missing:
            given.append(f"{receipt.worker} {name}")
            if given.count(given[-1]) > GIVEN:
                return f"it does not keep {name}; raise MMRACE_HOME_LIMIT there"
            if error := self._give_file(receipt.worker, name, files[name]):
                return error
        return ""

    def _give_file(self, name: str, file: str, sha256: str) -> str:
        at = self._addresses().get(name)
        if at is None:
            return ""  # the worker is gone; Dask moves its task to another one
        data = place_of(self._home, file).read_bytes()
        try:
            moved = self._client.scatter(data, workers=[at], direct=True, hash=False)
            kept = self._client.submit(worker.keep, file, sha256, moved, workers=[at], pure=False)
            if _ended(kept, lambda: self._addresses().get(name) != at):
                return str(kept.result())
        except GONE:
            pass
        return ""

    def _addresses(self) -> dict[str, str]:
        """URLs of the workers started by ``mmrace worker``, by name."""
        found = self._client.scheduler_info(n_workers=-1)["workers"].items()
        return {str(one["name"]): str(url) for url, one in found if guests_of(one)}

    def _look_at_clock(self, receipt: Receipt) -> None:
        skew = receipt.clock - time.time()
        if receipt.clock and abs(skew) > SKEW and receipt.worker not in self._skewed:
            self._skewed.add(receipt.worker)
            how = "ahead of" if skew > 0 else "behind"
            self._note(
                f"worker {receipt.worker}: its clock is {abs(skew):.0f} s {how} this host's; "
                "no result depends on it, but dates in its files do"
            )


def _ended(
    future: "Remote[Any]", hopeless: Callable[[], bool], waiting: "Future[Any] | None" = None
) -> bool:
    """Wait for a task; return False, and cancel it, as soon as ``hopeless`` returns True.

    Also returns once ``waiting``, the future that waits for the task, is cancelled. Does not use
    ``result(timeout=...)``, which fails on a busy host in distributed 2026.8.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if waiting:
        waiting.add_done_callback(lambda _: done.set())
    while not done.wait(POLL):
        if hopeless():
            future.cancel()
            return False
    return True


def guests_of(info: Mapping[str, Mapping[str, float]]) -> int:
    """Return how many guests a worker runs at a time, from the scheduler's record of the worker."""
    return int(info["resources"].get(worker.RESOURCE, 0))


def _each(tried: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {fault}" for name, fault in tried.items())
