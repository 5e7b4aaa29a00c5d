# SPDX-License-Identifier: GPL-2.0-only
"""A Dask worker that runs cells: the tasks that it executes, and how it is served."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace

import dask
from distributed import Security, Status, Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from mmrace import __version__
from mmrace.errors import InfraError, MmraceError
from mmrace.executors.board import BEGUN
from mmrace.executors.cache import WorkerCache
from mmrace.executors.objects import digest, pack_files
from mmrace.executors.shipment import Receipt, Shipment
from mmrace.guests.accel import KVM, usable
from mmrace.home import Home
from mmrace.outcome import Outcome
from mmrace.runs.cell import Cell, run_cell
from mmrace.runs.host import FILE, Host, this_host
from mmrace.runs.record import RunDir, write_json

Answer = tuple[str, tuple[bytes, ...]]  # a Receipt as JSON, and the archives that it lists
RESOURCE = "guest"
TOPIC = "mmrace-cells"  # Dask events with the state of a cell
SETTINGS = {"distributed.worker.profile.enabled": False}  # the profiler takes CPU time from guests
TELLS = 2.0  # seconds between two events of one task, at least


class CellWorker(WorkerPlugin):
    """Makes a Dask worker one of mmrace's; holds the worker's cache and the host's facts."""

    name = "mmrace"

    def __init__(self, home: Home, host: Host) -> None:
        self.cache = WorkerCache(home)
        self.host = host


class Task:
    """The task that the current thread executes."""

    def __init__(self) -> None:
        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._last_event = 0.0
        self.name = str(self._worker.name)

    @property
    def plugin(self) -> CellWorker:
        """The worker's CellWorker; InfraError on a plain Dask worker."""
        found = self._worker.plugins.get(CellWorker.name)
        if not isinstance(found, CellWorker):
            message = (
                f"{self.name} is a plain Dask worker; start `mmrace worker` on its host instead"
            )
            raise InfraError(message)
        return found

    def tell(self, what: str, state: str) -> None:
        """Send the state of a cell or an order; InfraError when the submitter has cancelled it."""
        task = self._worker.state.tasks.get(self._key)
        if not task or task.state == "cancelled" or self._worker.status is not Status.running:
            raise InfraError(f"{what} was given up")
        if state == BEGUN or time.monotonic() - self._last_event > TELLS:
            self._last_event = time.monotonic()
            # Dask accepts str only, not its subclasses such as Counted.
            event = {"cell": what, "at": self.name, "state": str(state)}
            self._worker.log_event(TOPIC, event)


def run_shipment(text: str) -> Answer:
    """Run the cells of a Shipment, given as JSON (runs as a Dask task)."""
    return answered(_run, text)


def answered(work: Callable[[Task, CellWorker, str], Answer], text: str) -> Answer:
    """Do the work of a task; return an error as part of the answer, without an exception."""
    task = Task()
    try:
        theirs = json.loads(text).get("version")
        if theirs != __version__:
            raise InfraError(
                f"it has mmrace {__version__}, the submitter {theirs}; install the same version on "
                "both"
            )
        return work(task, task.plugin, text)
    except MmraceError as error:
        return _failed(task.name, error.message)
    except (OSError, MemoryError) as error:
        return _failed(task.name, f"{error or 'out of memory'}; free space or memory there")


def keep(name: str, sha256: str, data: bytes) -> str:
    """Store a file that the submitter sent (a Dask task); return an error message or ""."""
    try:
        Task().plugin.cache.keep(name, sha256, data)
    except MmraceError as error:
        return error.message
    except OSError as error:
        return f"{error}; free space there"
    return ""


def _run(task: Task, mine: CellWorker, text: str) -> Answer:
    sent = Shipment.model_validate_json(text)
    with mine.cache.with_files(sent.files, sent.store) as missing:
        if missing:
            return answer(Receipt(worker=task.name, missing=missing)), ()
        runs = tuple(_cell(task, mine, sent, cell) for cell in sent.cells)
    archives = tuple(pack_files(run.folder) for run in runs)
    listed = tuple((run.id, digest(data)) for run, data in zip(runs, archives, strict=True))
    judged = [run.judgement() for run in runs]
    spoilt = next((one.title for one in judged if one.outcome is Outcome.INFRA), "")
    mine.cache.forget_runs()
    return answer(Receipt(worker=task.name, runs=listed, spoilt=spoilt)), archives


def _cell(task: Task, mine: CellWorker, sent: Shipment, cell: Cell) -> RunDir:
    task.tell(cell.id, BEGUN)
    run = run_cell(mine.cache.home, cell, lambda text: task.tell(cell.id, text))
    if not (run.folder / FILE).is_file():
        host = mine.host.model_copy(update={"worker": task.name})
        judged = run.judgement()
        notes = [f"worker {task.name}: {one}" for one in host.differences(sent.sender)]
        if judged.outcome is Outcome.INFRA and sent.tried:
            notes.append(f"failed before on {', '.join(sent.tried)}")
        if notes:
            run.store(replace(judged, notes=(*judged.notes, *notes)))
        write_json(run.folder / FILE, host.model_dump())
    return run


def _failed(name: str, message: str) -> Answer:
    return answer(Receipt(worker=name, failure=message)), ()


def answer(receipt: Receipt) -> str:
    """Return a receipt as JSON, with the current time as its ``clock``."""
    return receipt.model_copy(update={"clock": time.time()}).model_dump_json()


def serve(
    home: Home, address: str, slots: int, security: Security | None, name: str | None = None
) -> None:
    """Run cells for a scheduler until it goes away; up to ``slots`` guests at a time.

    Raises InfraError when the scheduler cannot be reached, or this host has no QEMU.
    """
    host = this_host(name or "", __version__)
    dask.config.set(SETTINGS)
    try:
        asyncio.run(_serve(home, address, slots, security, host))
    except (OSError, TimeoutError) as error:
        raise InfraError(f"no scheduler at {address}: {error}; start `dask scheduler`") from error


async def _serve(
    home: Home, address: str, slots: int, security: Security | None, host: Host
) -> None:
    kvm = {KVM.name: slots} if usable(KVM) else {}
    async with Worker(
        address,
        nthreads=slots + 1,  # one more receives files while guests occupy the others
        name=host.worker or host.host,
        resources={RESOURCE: slots, **kvm},
        plugins=(CellWorker(home, host),),
        security=security,
        memory_limit=0,  # Dask would not see the memory of QEMU processes
    ) as worker:
        await worker.finished()
