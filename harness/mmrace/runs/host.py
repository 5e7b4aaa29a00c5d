# SPDX-License-Identifier: GPL-2.0-only
"""The host that made a run, where that was a worker of a cluster: ``worker.json`` of the run."""

import platform
from pathlib import Path

from mmrace.guests.qemu import qemu_version
from mmrace.toml import Table

FILE = "worker.json"


class Host(Table):
    """Where a run is made: the worker's name, and what may change how a race behaves."""

    worker: str
    host: str
    qemu: str
    cpu: str
    version: str

    @property
    def kind(self) -> tuple[str, str]:
        """QEMU and CPU; runs of one comparison are made on hosts that have the same."""
        return self.qemu, self.cpu

    def differences(self, other: "Host") -> tuple[str, ...]:
        """Say in which of these another host differs, each as ``QEMU 10.0.2, there 7.2.22``."""
        pairs = (("QEMU", self.qemu, other.qemu), ("CPU", self.cpu, other.cpu))
        return tuple(f"{name} {one}, there {two}" for name, one, two in pairs if one != two)


def this_host(worker: str, version: str) -> Host:
    """Return what there is to say of this host; InfraError when it has no QEMU."""
    return Host(
        worker=worker,
        host=platform.node(),
        qemu=qemu_version(),
        cpu=_cpu(),
        version=version,
    )


def read_host(folder: Path) -> Host | None:
    """Return who made the run in a directory; None for a run of this host."""
    try:
        return Host.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
