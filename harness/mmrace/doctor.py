# SPDX-License-Identifier: GPL-2.0-only
"""What a host needs and has."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from mmrace.data import data_dir
from mmrace.guests import accel, qemu
from mmrace.home import Home
from mmrace.proc import sandbox_fault
from mmrace.sources.tree import list_trees

GIB = 1024**3
TESTED_QEMU = ("7.2", "10.0", "11.1")


@dataclass(frozen=True)
class Package:
    """A Debian package, a file that shows it is installed, what it is for."""

    name: str
    file: Path
    purpose: str


@dataclass(frozen=True)
class Check:
    """One line of ``mmrace doctor``."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def _qemu(version: str) -> Check:
    if not version:
        return Check("QEMU", False, "", "apt-get install qemu-system-x86")
    tested = f"steering and replays were tested with {', '.join(TESTED_QEMU)}"
    release = ".".join(version.split(".")[:2])
    return Check("QEMU", True, version, "" if release in TESTED_QEMU else tested)


def packages() -> tuple[Package, ...]:
    """The packages of ``packages.txt``."""
    lines = data_dir("packages.txt").read_text(encoding="utf-8").splitlines()
    words = (line.split(maxsplit=2) for line in lines if line and not line.startswith("#"))
    return tuple(Package(name, Path(file), purpose) for name, file, purpose in words)


def examine_host(home: Home) -> tuple[Check, ...]:
    """Look at this host, and judge it."""
    there = next(path for path in (home.cache, *home.cache.parents) if path.exists())
    version = qemu.qemu_version() if shutil.which(qemu.QEMU) else ""
    return examine(
        packages(),
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk=shutil.disk_usage(there).free,
        kvm=accel.state(home, version) if version else "no QEMU",
        kvm_steering=accel.steering_state(home, version),
        sandbox=sandbox_fault(),
        sources=tuple(tree.name for tree in list_trees(home)),
        version=version,
    )


def examine(
    packages: tuple[Package, ...],
    *,
    cpus: int,
    memory: int,
    disk: int,
    kvm: str,
    kvm_steering: str,
    sandbox: str = "",
    sources: tuple[str, ...] = (),
    version: str = "",
) -> tuple[Check, ...]:
    """Judge the host. ``memory`` and ``disk`` are bytes, ``kvm`` what is known of it,
    ``kvm_steering`` of steering under it.

    ``sandbox`` says why builds of series from outside cannot be confined; empty: they can.
    ``version`` is QEMU's; empty: QEMU is not installed.
    """
    checks = [
        Check(
            package.name,
            package.file.exists(),
            str(package.file) if package.file.exists() else "",
            "" if package.file.exists() else f"apt-get install {package.name} ({package.purpose})",
        )
        for package in packages
    ]
    checks.append(_qemu(version))
    checks.append(
        Check("CPUs", cpus >= 2, str(cpus), "" if cpus >= 2 else "two vCPUs cannot race on one")
    )
    enough = memory >= 4 * GIB
    checks.append(
        Check("memory", enough, f"{memory / GIB:.0f} GiB", "" if enough else "a guest takes 2 GiB")
    )
    roomy = disk >= 12 * GIB
    checks.append(
        Check(
            "disk", roomy, f"{disk / GIB:.0f} GiB free", "" if roomy else "12 GiB; see mmrace clean"
        )
    )
    checks.append(
        Check(
            "sandbox",
            not sandbox,
            sandbox or "for series from outside: works",
            "user namespaces, or root; see docs/concepts/isolation.md" if sandbox else "",
        )
    )
    checks.append(Check("KVM", True, kvm))
    checks.append(Check("steering under KVM", True, kvm_steering))
    checks.append(Check("sources", True, ", ".join(sources) or "none added", "mmrace tree add"))
    return tuple(checks)
