# SPDX-License-Identifier: GPL-2.0-only
"""The programs that build a kernel: which of them are missing, and which versions they are."""

import shutil
from collections.abc import Callable, Mapping

from mmrace.errors import InfraError
from mmrace.proc import run

TOOLS = ("bwrap", "make", "gcc", "ld", "flex", "bison", "bc", "ccache")
_OPTIONAL = ("bwrap",)  # with --no-sandbox


def missing_tools(
    which: Callable[[str], str | None] = shutil.which, *, sandboxed: bool = True
) -> InfraError | None:
    """Return the error that says which build tools this host lacks, None when all are there."""
    absent = [tool for tool in TOOLS if not which(tool) and (sandboxed or tool not in _OPTIONAL)]
    if not absent:
        return None
    packages = {"bwrap": "bubblewrap", "ld": "binutils"}
    names = " ".join(packages.get(tool, tool) for tool in absent)
    way_out = f"{', '.join(absent)} missing; install: {names}"
    if absent == ["bwrap"]:
        way_out += "; or --no-sandbox, and what the tree's makefiles do they do to this host"
    return InfraError(f"cannot build: {way_out}")


def toolchain(env: Mapping[str, str]) -> tuple[str, ...]:
    """Versions of compiler and linker, as they say themselves; part of a kernel's id."""
    lines = []
    for tool in (env.get("CC", "gcc"), "ld"):
        done = run([*tool.split(), "--version"], deadline=30)
        if done.returncode != 0:
            raise InfraError(f"{tool} --version failed: {done.errors.strip()}")
        lines.append(done.text.partition("\n")[0])
    return tuple(lines)
