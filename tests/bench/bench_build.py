# SPDX-License-Identifier: GPL-2.0-only
"""How long builds take, each beside plain make in the same run.

Needs an idle machine and about 8 GB: a compiler cache, benches and kernels of its own are made
below the home's cache directory and removed at the end; the home's trees are used.
"""

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mmrace.building.build import build_kernel
from mmrace.building.directory import FIXED_ENV, BuildDirectory
from mmrace.building.kconfig import DEFAULT_FRAGMENTS
from mmrace.building.kernel import Kernel
from mmrace.building.request import request_kernel
from mmrace.definitions.base import base_for
from mmrace.home import Home
from mmrace.proc import Bind, Sandbox, run
from mmrace.sources.git import Repository
from mmrace.sources.tree import Tree, checkout, find_tree, store

TREE = "debian:6.1"
VARIED = "mm/migrate.c"

T = TypeVar("T")


def main() -> None:
    """Measure and print one table."""
    real = Home.from_environment(os.environ)
    tree = find_tree(real, TREE, _quiet)
    with real.scratch(real.cache) as work:
        _report(Home(work, real.data), tree, work)


def _report(home: Home, tree: Tree, work: Path) -> None:
    load = os.getloadavg()[0]
    print(f"{time.strftime('%Y-%m-%d')}, {_machine()}, load {load:.1f}, Linux {tree.version}")
    unpacking, _ = _timed(lambda: checkout(home, tree.commit, work / "plain"))
    print(f"unpacking the source: {unpacking:.1f} s, in none of the figures below")
    _spare_checkout(home, tree)
    first, kernel = _timed(lambda: _build(home, tree))
    plain, _ = _timed(lambda: _plain_make(work, kernel))
    _line("first kernel", first, "plain make -j2, same tree and config", plain, 1.05 * plain)

    variant = _variant(home, tree, store(home))
    incremental, _ = _timed(lambda: _build(home, variant))
    with (work / "plain" / VARIED).open("a", encoding="utf-8") as file:
        file.write(_CHANGE)
    again, _ = _timed(lambda: _plain_make(work, kernel))
    _line(f"a variant of {VARIED}", incremental, "plain make after the same change", again, 10)

    # All but the compiler cache goes, so the directory and the kernel are new ones.
    for gone in (home.builds, home.kernels):
        shutil.rmtree(gone)
    _spare_checkout(home, tree)
    warm, _ = _timed(lambda: _build(home, tree))
    _line("another build directory, warm ccache", warm, "plain make from nothing", plain, 45)

    idle, _ = _timed(lambda: _build(home, tree))
    nothing, _ = _timed(lambda: _plain_make(work, kernel))
    _line("nothing to do", idle, "plain make with nothing to do", nothing, 1)


_CHANGE = "\nint mmrace_bench(void);\nint mmrace_bench(void)\n{\n\treturn 1;\n}\n"


class _Unpacked(Exception):  # noqa: N818
    """The source is in the bench."""


def _build(home: Home, tree: Tree, progress: Callable[[str], None] | None = None) -> Kernel:
    base = base_for(tree.version)
    wanted = request_kernel(
        home, tree.commit, tree.tree_hash, base, DEFAULT_FRAGMENTS, outside=False
    )
    return build_kernel(home, wanted, progress or _quiet)


def _spare_checkout(home: Home, tree: Tree) -> None:
    """Put the source into the bench beforehand: plain make starts from an unpacked one too."""

    def until_configuring(text: str) -> None:
        if text == "configuring":
            raise _Unpacked

    try:
        _build(home, tree, until_configuring)
    except _Unpacked:
        for state in home.builds.glob("*/state.json"):
            BuildDirectory(home, state.parent.name).remember(building=None)


def _plain_make(work: Path, kernel: Kernel) -> None:
    """What a person would type, at the same paths and without a compiler cache."""
    output = work / "plain-build"
    output.mkdir(exist_ok=True)
    if not (output / ".config").exists():
        shutil.copyfile(kernel.config, output / ".config")
    binds = (Bind(work / "plain", "/src"), Bind(output, "/build", writable=True))
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    argv = ["make", jobs, "-C", "/src", "O=/build", "bzImage"]
    done = run(argv, deadline=7200, env=FIXED_ENV, sandbox=Sandbox(binds, cwd="/build"))
    if done.returncode:
        raise SystemExit(f"plain make failed: {done.errors[-500:]}")


def _variant(home: Home, tree: Tree, kept: Repository) -> Tree:
    """Commit the tree with one function more in one file, as a series would."""
    content = kept.file(tree.commit, VARIED)
    if content is None:
        raise SystemExit(f"{tree.name} has no {VARIED}")
    with home.scratch(home.cache) as scratch:
        here = replace(kept, index=scratch / "index")
        here.git("read-tree", tree.commit)
        blob = here.git("hash-object", "-w", "--stdin", stdin=content + _CHANGE.encode())
        entry = f"100644,{blob.text.strip()},{VARIED}"
        here.git("update-index", "--cacheinfo", entry)
        top = here.git("write-tree").text.strip()
        commit = here.git("commit-tree", top, "-p", tree.commit, "-m", "bench").text.strip()
    return replace(tree, commit=commit, tree_hash=top)


def _line(what: str, seconds: float, beside: str, plain: float, target: float) -> None:
    met = "met" if seconds <= target else "MISSED"
    print(f"{what}: {seconds:.1f} s (target {target:.1f} s: {met}); {beside}: {plain:.1f} s")


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return f"{len(os.sched_getaffinity(0))} x {names[0] if names else platform.machine()}"


def _quiet(_text: str) -> None:
    pass


if __name__ == "__main__":
    main()
