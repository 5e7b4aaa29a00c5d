# SPDX-License-Identifier: GPL-2.0-only
"""A finished kernel in the home, published by rename and found by its id."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.building.directory import BuildDirectory
from mmrace.errors import InfraError
from mmrace.home import Home, publish, write_file
from mmrace.leftover import keep

_FILES = {
    "bzImage": "arch/x86/boot/bzImage",
    "vmlinux": "vmlinux",
    "System.map": "System.map",
    "config": ".config",
}


@dataclass(frozen=True)
class Kernel:
    """A finished kernel; ``seconds`` is what this request took, ``reused``: nothing was built.

    ``warnings`` are those of its build, which compiled what its directory had not compiled before.
    ``notes``: a line for each option of its config that was dropped. ``dropped`` names what was
    removed to keep the home below its limit. A kernel is not dropped while the process that loaded
    it lives.
    """

    id: str
    release: str
    image: Path
    vmlinux: Path
    config: Path
    folder: Path
    seconds: float
    reused: bool
    warnings: tuple[str, ...] = ()
    dropped: str = ""
    notes: tuple[str, ...] = ()

    @property
    def has_debug_info(self) -> bool:
        """Whether its vmlinux has DWARF, in which sync points and source lines are found."""
        lines = self.config.read_text(encoding="utf-8", errors="replace").splitlines()
        return "CONFIG_DEBUG_INFO=y" in lines


def load_kernel(home: Home, kernel_id: str) -> Kernel | None:
    """Return a kernel that is in the home already, None when it is not."""
    folder = home.kernels / kernel_id
    if not keep(folder):
        return None
    try:
        facts = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Kernel(
        kernel_id,
        facts["release"],
        folder / "bzImage",
        folder / "vmlinux",
        folder / "config",
        folder,
        seconds=0.0,
        reused=True,
        warnings=tuple(facts.get("warnings", ())),
    )


def publish_kernel(
    directory: BuildDirectory, kernel_id: str, commit: str, tree_hash: str, warned: tuple[str, ...]
) -> Kernel:
    """Copy what a build has made into the home, by rename; InfraError when it is gone at once."""
    release = directory.read("include/config/kernel.release").strip()
    facts = {
        "release": release,
        "commit": commit,
        "tree_hash": tree_hash,
        "warnings": warned,
    }
    with directory.home.scratch(directory.home.kernels) as made:
        for name, built in _FILES.items():
            shutil.copyfile(directory.made_file(built), made / name)
        write_file(made / "kernel.json", json.dumps(facts, indent=1))
        publish(made, directory.home.kernels / kernel_id)
    kernel = load_kernel(directory.home, kernel_id)
    if kernel is None:
        raise InfraError(
            f"kernel {kernel_id} vanished from {directory.home.kernels}; build it again"
        )
    return replace(kernel, reused=False)
