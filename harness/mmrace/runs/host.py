# SPDX-License-Identifier: GPL-2.0-only
"""The host of a run made by a cluster's worker: ``worker.json`` in the run directory."""

import platform
from pathlib import Path

from mmrace.guests.qemu import qemu_version
from mmrace.toml import Table

FILE = "worker.json"


class Host(Table):
    """Where a run was made: the worker's name, and properties that may affect a race."""

    worker: str
    host: str
    qemu: str
    cpu: str
    version: str

    @property
    def kind(self) -> tuple[str, str]:
        """QEMU and CPU; all runs of a comparison are made on hosts of one kind."""
        return self.qemu, self.cpu

    def differences(self, other: "Host") -> tuple[str, ...]:
        """Return the differences to another host, each as ``QEMU 10.0.2, there 7.2.22``."""
        pairs = (("QEMU", self.qemu, other.qemu), ("CPU", self.cpu, other.cpu))
        return tuple(f"{name} {one}, there {two}" for name, one, two in pairs if one != two)


def this_host(worker: str, version: str) -> Host:
    """Return the properties of this host; InfraError when it has no QEMU."""
    return Host(
        worker=worker,
        host=platform.node(),
        qemu=qemu_version(),
        cpu=_cpu(),
        version=version,
    )


def read_host(folder: Path) -> Host | None:
    """Return the worker that made the run in a directory; None for a run of this host."""
    try:
        return Host.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
