# SPDX-License-Identifier: GPL-2.0-only
"""A host of a Dask cluster that runs cells: what its tasks do, and how it is served."""

import asyncio
import platform
from pathlib import Path

from distributed import Security, Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from mmrace import __version__
from mmrace.errors import InfraError, MmraceError
from mmrace.executors.objects import digest, has_object, keep_object, pack_run, read_stored
from mmrace.executors.shipment import Failure, Host, Receipt, Shipment
from mmrace.guests.qemu import qemu_version
from mmrace.home import Home
from mmrace.runs.cell import Cell, run_cell
from mmrace.runs.record import RunDir, write_json

Answer = tuple[str, tuple[bytes, ...]]  # a receipt's JSON, and the archives that it lists
RESOURCE = "guest"
TOPIC = "mmrace-cells"  # events that say which worker began which cell


class CellWorker(WorkerPlugin):
    """Makes a Dask worker one of mmrace's: it knows its home."""

    name = "mmrace"

    def __init__(self, home: Home) -> None:
        self.home = home


def run_shipment(text: str) -> Answer:
    """Run the cells of a shipment (a task); errors are part of the answer, not exceptions."""
    worker = get_worker()
    name = str(worker.name)
    mine = worker.plugins.get(CellWorker.name)
    if not isinstance(mine, CellWorker):
        said = f"{name} is a plain Dask worker; start `mmrace worker` on its host instead"
        return _failed(name, InfraError(said))
    try:
        return _run(mine.home, name, Shipment.model_validate_json(text))
    except MmraceError as error:
        return _failed(name, error)
    except (OSError, MemoryError) as error:
        return _failed(name, InfraError(f"worker {name}: {error}; free space or memory there"))


def keep(name: str, wanted: str, data: bytes) -> str:
    """Keep a file that the submitter sent (a task); return an error's line, or nothing."""
    mine = get_worker().plugins[CellWorker.name]
    assert isinstance(mine, CellWorker)  # noqa: S101 - only such workers say that they lack files
    try:
        keep_object(mine.home, name, wanted, data)
    except MmraceError as error:
        return error.message
    except OSError as error:
        return f"worker {get_worker().name}: {error}; free space there"
    return ""


def _run(home: Home, name: str, sent: Shipment) -> Answer:
    if sent.version != __version__:
        raise InfraError(
            f"worker {name} has mmrace {__version__}, the submitter {sent.version}; "
            "install the same version on both"
        )
    missing = tuple(
        file
        for file, wanted in sent.files.items()
        if not has_object(home, file, wanted) and not _pulled(home, sent.store, file, wanted)
    )
    if missing:
        return Receipt(worker=name, missing=missing).model_dump_json(), ()
    runs = tuple(_cell(home, name, cell) for cell in sent.cells)
    archives = tuple(pack_run(run) for run in runs)
    listed = tuple((run.id, digest(data)) for run, data in zip(runs, archives, strict=True))
    return Receipt(worker=name, runs=listed).model_dump_json(), archives


def _pulled(home: Home, store: str, file: str, wanted: str) -> bool:
    data = read_stored(store, wanted) if store else None
    if data is None:
        return False
    keep_object(home, file, wanted, data)
    return True


def _cell(home: Home, name: str, cell: Cell) -> RunDir:
    get_worker().log_event(TOPIC, {"cell": cell.id, "worker": name})
    run = run_cell(home, cell, lambda _text: None)
    where = run.folder / "worker.json"
    if not where.is_file():
        write_json(where, _host(name).model_dump())
    return run


def _host(name: str) -> Host:
    return Host(
        worker=name,
        host=platform.node(),
        qemu=qemu_version(),
        cpu=_cpu(),
        version=__version__,
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _failed(name: str, error: MmraceError) -> Answer:
    failure = Failure(exit=error.exit_code, message=error.message)
    return Receipt(worker=name, failure=failure).model_dump_json(), ()


def serve(
    home: Home, address: str, slots: int, security: Security | None, name: str | None = None
) -> None:
    """Run cells for a scheduler until it goes away; ``slots`` guests at a time.

    Raises InfraError when the scheduler cannot be reached.
    """
    try:
        asyncio.run(_serve(home, address, slots, security, name))
    except (OSError, TimeoutError) as error:
        raise InfraError(f"no scheduler at {address}: {error}; start `dask scheduler`") from error


async def _serve(
    home: Home, address: str, slots: int, security: Security | None, name: str | None
) -> None:
    async with Worker(
        address,
        nthreads=slots,
        name=name or platform.node(),
        resources={RESOURCE: slots},
        plugins=(CellWorker(home),),
        security=security,
        memory_limit=0,  # guests are QEMU's, which Dask does not see
    ) as worker:
        await worker.finished()
