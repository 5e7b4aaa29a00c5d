# SPDX-License-Identifier: GPL-2.0-only
"""A cell: one run as a pure job; inputs are named by content, addresses are resolved.

It needs no vmlinux, source tree or race directory, only the files that it names. Its id is fixed
before it starts, so a cell that is run twice leaves one run directory.
"""

from collections.abc import Callable
from dataclasses import replace

from mmrace.errors import InfraError
from mmrace.guests.accel import Accel
from mmrace.guests.printk import LogBuffer
from mmrace.guests.scheduler import Placed
from mmrace.home import Home
from mmrace.runs.parts import Parts
from mmrace.runs.record import RunDir, Spec, find_finished
from mmrace.runs.replay import run_replay
from mmrace.runs.workload import run_workload
from mmrace.toml import Table
from mmrace.windows.delay import Delay
from mmrace.windows.director import Director, build
from mmrace.windows.plan import Plan


class Cell(Table):
    """One serialisable unit of work; immutable.

    ``image`` and ``module`` name an initramfs and a kernel module in the cache, ``spec.kernel_id``
    the kernel. ``plan``: what steers or measures, with addresses. ``log``: addresses of the
    kernel's message buffer. ``placed``: steps of the witness, with addresses.
    """

    spec: Spec
    image: str
    accel: Accel
    log: LogBuffer | None = None
    plan: Plan | None = None
    module: str = ""
    placed: tuple[Placed, ...] = ()

    @property
    def id(self) -> str:
        """The id of this cell's run."""
        return self.spec.id

    @property
    def inputs(self) -> tuple[str, ...]:
        """Files that the cell needs, relative to the home's cache."""
        kernel = f"kernels/{self.spec.kernel_id}"
        named = (f"{kernel}/bzImage", f"{kernel}/config", f"images/{self.image}")
        return (*named, *([f"programs/{self.module}"] if self.module else []))

    def parts(self, home: Home) -> Parts:
        """Find the files that the cell names; InfraError names a missing file."""
        for name in self.inputs:
            if not (home.cache / name).is_file():
                raise InfraError(f"run {self.id} needs {name}, which is not in {home.cache}")
        kernel = home.kernels / self.spec.kernel_id
        parts = Parts(
            kernel / "bzImage",
            kernel / "config",
            home.images / self.image,
            self.accel,
            log=self.log,
            placed=self.placed,
        )
        if not self.plan:
            return parts
        if self.module:
            return replace(parts, delay=Delay(self.plan, home.programs / self.module))
        return replace(parts, director=Director(self.plan, build(home)))


def run_cell(home: Home, cell: Cell, tell: Callable[[str], None]) -> RunDir:
    """Run a cell, or return its run if it has one.

    Raises InfraError when an input is missing, or QEMU cannot be started.
    """
    if made := find_finished(home, cell.id):
        return made
    run = run_replay if cell.spec.witness else run_workload
    return run(home, cell.spec, cell.parts(home), tell)
