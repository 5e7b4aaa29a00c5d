# SPDX-License-Identifier: GPL-2.0-only
"""Groups of cells on their way: to a worker, to another one when it fails, and back as runs."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from typing import Any

from distributed import Client, KilledWorker
from distributed import Future as Remote
from distributed.comm.core import CommClosedError
from pydantic import ValidationError

from mmrace import __version__
from mmrace.errors import InfraError
from mmrace.executors import worker
from mmrace.executors.board import Board
from mmrace.executors.objects import file_digest, place_of, unpack_runs
from mmrace.executors.shipment import Receipt, Shipment
from mmrace.executors.store import write_stored
from mmrace.home import Home
from mmrace.runs.cell import Cell
from mmrace.runs.host import this_host
from mmrace.runs.record import RunDir
from mmrace.windows.director import build

TRIES = 3  # workers that may fail on a group
GIVEN = 3  # times that one worker is given the same file
POLL = 5.0  # seconds between looks at a group that is under way
SKEW = 60.0  # seconds by which a worker's clock may differ unsaid
GONE = (CancelledError, CommClosedError, OSError)
Arrived = tuple[Receipt, tuple[bytes, ...]]


class Dispatch:
    """Sends groups to the workers of one cluster; used by one thread for each group.

    ``note`` tells people one line.
    """

    def __init__(
        self, home: Home, client: Client, board: Board, store: str, note: Callable[[str], None]
    ) -> None:
        self._home = home
        self._client = client
        self._board = board
        self._store = store
        self._note = note
        self._sender = this_host("", __version__)
        self._keys = itertools.count()
        self._lock = threading.Lock()
        self._under_way = 0
        self._skewed: set[str] = set()

    def run(self, cells: tuple[Cell, ...]) -> tuple[RunDir, ...]:
        """Have cells run by one worker, and publish their runs.

        Raises InfraError that names the workers when three have failed, or all that there are.
        """
        files = {name: file_digest(place_of(self._home, name)) for name in self._files(cells)}
        if self._store:
            for name in files:
                write_stored(self._store, place_of(self._home, name))
        race = f"{cells[0].spec.race.name}/{cells[0].spec.workload.name}"
        with self._board.group([cell.id for cell in cells], race):
            return self._run(cells, files)

    def _run(self, cells: tuple[Cell, ...], files: Mapping[str, str]) -> tuple[RunDir, ...]:
        tried: dict[str, str] = {}
        given: list[str] = []
        while True:
            receipt, archives = self._send(cells, files, tuple(tried))
            fault = receipt.failure or receipt.spoilt
            if receipt.missing:
                fault = self._give(receipt, files, given)
                if not fault:
                    continue
            if fault:
                tried[receipt.worker] = fault
                others = set(self._addresses()) - set(tried)
                if len(tried) < TRIES and others:
                    self._note(f"worker {receipt.worker}: {fault}; sent to another worker")
                    continue
            if not receipt.runs:
                raise InfraError(f"run {cells[0].id} failed on every worker tried: {_each(tried)}")
            if [run for run, _ in receipt.runs] != [cell.id for cell in cells]:
                raise InfraError(f"worker {receipt.worker} sent other runs than were asked for")
            arrived = zip(receipt.runs, archives, strict=True)
            return unpack_runs(self._home, ((run, sha, data) for (run, sha), data in arrived))

    def _files(self, cells: tuple[Cell, ...]) -> tuple[str, ...]:
        """Names of all files that cells need, the director's for each QEMU among them."""
        found = {name for cell in cells for name in cell.inputs}
        if any(cell.plan and not cell.module for cell in cells):
            plugins = build(self._home).parent.glob("*.so")
            found |= {str(path.relative_to(self._home.cache)) for path in plugins}
        return tuple(sorted(found))

    def _send(
        self, cells: tuple[Cell, ...], files: Mapping[str, str], tried: tuple[str, ...]
    ) -> Arrived:
        """Have a worker run them, one that has not failed on them if there is one."""
        shipment = Shipment(
            version=__version__, cells=cells, files=dict(files), sender=self._sender,
            store=self._store, tried=tried,
        )  # fmt: skip
        ids = [cell.id for cell in cells]
        there = self._addresses().items() if tried else ()
        others = [url for name, url in there if name not in tried]
        with self._lock:
            self._under_way += 1
            rank = self._under_way
        try:
            future = self._client.submit(
                worker.run_shipment,
                shipment.model_dump_json(),
                key=f"{ids[0]}-{next(self._keys)}",
                pure=False,
                resources=self._resources(cells),
                # Of several users' groups the first ones go first, whoever has sent more.
                priority=-rank,
                workers=others or None,
                allow_other_workers=bool(others),
            )
            receipt, archives = self._arrived(future, ids[0])
        finally:
            with self._lock:
                self._under_way -= 1
        self._board.ended(receipt.worker, len(receipt.runs))
        self._look_at_clock(receipt)
        return receipt, archives

    def _resources(self, cells: tuple[Cell, ...]) -> dict[str, int]:
        wanted = {worker.RESOURCE: 1}
        if any(cell.accel.name == "kvm" for cell in cells):
            wanted["kvm"] = 1
        return wanted

    def _arrived(self, future: "Remote[Any]", first: str) -> Arrived:
        try:
            if not _ended(future, lambda: len(self._board.begun(first)) > TRIES):
                raise self._killed(first)
            text, archives = future.result()
            return Receipt.model_validate_json(text), archives
        except KilledWorker as error:
            raise self._killed(first) from error
        except GONE as error:
            raise InfraError(
                "the scheduler is gone; start it and its workers, and the same command goes on"
            ) from error
        except ValidationError as error:
            raise InfraError(f"run {first}: its worker has another version of mmrace") from error
        finally:
            future.release()

    def _killed(self, first: str) -> InfraError:
        names = ", ".join(self._board.begun(first)[:TRIES]) or "workers that had not begun it"
        return InfraError(f"run {first} ended {TRIES} workers: {names}; see their logs")

    def _give(self, receipt: Receipt, files: Mapping[str, str], given: list[str]) -> str:
        """Send a worker the files that it lacks; returns why it cannot be given them."""
        for name in receipt.missing:
            given.append(f"{receipt.worker} {name}")
            if given.count(given[-1]) > GIVEN:
                return f"it does not keep {name}; raise MMRACE_HOME_LIMIT there"
            if said := self._give_file(receipt.worker, name, files[name]):
                return said
        return ""

    def _give_file(self, name: str, file: str, wanted: str) -> str:
        at = self._addresses().get(name)
        if at is None:
            return ""  # it went away, and another one takes its task
        data = place_of(self._home, file).read_bytes()
        try:
            moved = self._client.scatter(data, workers=[at], direct=True, hash=False)
            kept = self._client.submit(worker.keep, file, wanted, moved, workers=[at], pure=False)
            if _ended(kept, lambda: self._addresses().get(name) != at):
                return str(kept.result())
        except GONE:
            pass
        return ""

    def _addresses(self) -> dict[str, str]:
        """Addresses of mmrace's workers by name."""
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


def _ended(future: "Remote[Any]", hopeless: Callable[[], bool]) -> bool:
    """Wait for a task; False, and it is cancelled, once there is no hope for it.

    Not by ``result(timeout=...)``: in distributed 2026.8 that fails on a busy host.
    """
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    while not done.wait(POLL):
        if hopeless():
            future.cancel()
            return False
    return True


def guests_of(info: Mapping[str, Mapping[str, float]]) -> int:
    """Guests that a worker runs at a time, from what the scheduler knows of it."""
    return int(info["resources"].get(worker.RESOURCE, 0))


def _each(tried: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {fault}" for name, fault in tried.items())
