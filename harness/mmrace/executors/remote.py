# SPDX-License-Identifier: GPL-2.0-only
"""Groups of cells run by workers; their runs are published in the submitter's home."""

from concurrent.futures import Future
from typing import Any

from mmrace import __version__
from mmrace.errors import InfraError
from mmrace.executors import worker
from mmrace.executors.dispatch import Dispatch, Job
from mmrace.executors.objects import file_digest, place_of, unpack_runs
from mmrace.executors.shipment import Shipment
from mmrace.home import Home
from mmrace.runs.cell import Cell
from mmrace.runs.host import this_host
from mmrace.runs.record import RunDir
from mmrace.windows.director import build


class RemoteCells:
    """Runs groups on the workers of a cluster; each group has a thread of its own."""

    def __init__(self, home: Home, dispatch: Dispatch) -> None:
        self._home = home
        self._dispatch = dispatch
        self._sender = this_host("", __version__)

    def run(self, cells: tuple[Cell, ...], waiting: "Future[Any]") -> tuple[RunDir, ...]:
        """Have one worker run cells, and publish their runs; raises as ``Dispatch.deliver`` does.

        ``waiting``: the future of the experiment that waits for the runs; cancelling it cancels the
        group.
        """
        files = {name: file_digest(place_of(self._home, name)) for name in self._files(cells)}

        def sent(tried: tuple[str, ...]) -> str:
            return Shipment(
                version=__version__, cells=cells, files=files, sender=self._sender,
                store=self._dispatch.store, tried=tried,
            ).model_dump_json()  # fmt: skip

        spec, ids = cells[0].spec, tuple(cell.id for cell in cells)
        title = f"{spec.race.name}/{spec.workload.name}"
        resources = {worker.RESOURCE: 1}
        if any(cell.accel.name == "kvm" for cell in cells):
            resources["kvm"] = 1
        job = Job(ids, f"run {ids[0]}", title, worker.run_shipment, sent, files, resources)
        receipt, archives = self._dispatch.deliver(job, waiting)
        if tuple(run for run, _ in receipt.runs) != ids:
            raise InfraError(f"worker {receipt.worker} sent other runs than were asked for")
        arrived = zip(receipt.runs, archives, strict=True)
        return unpack_runs(self._home, ((run, sha, data) for (run, sha), data in arrived))

    def _files(self, cells: tuple[Cell, ...]) -> tuple[str, ...]:
        """Names of all files that cells need, with the director plugin for each QEMU version."""
        found = {name for cell in cells for name in cell.inputs}
        if any(cell.plan and not cell.module for cell in cells):
            plugins = build(self._home).parent.glob("*.so")
            found |= {str(path.relative_to(self._home.cache)) for path in plugins}
        return tuple(sorted(found))
