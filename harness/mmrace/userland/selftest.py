# SPDX-License-Identifier: GPL-2.0-only
"""The kernel tree's own mm selftests, built from its sources against its own headers."""

import re
from pathlib import Path, PurePosixPath

from mmrace.definitions.race import Workload
from mmrace.errors import BuildError, NotHereError
from mmrace.home import Home
from mmrace.proc import Bind
from mmrace.sources.tree import export, store
from mmrace.userland.compiler import Program, Progress, cached, key, sandboxed

# What `make headers` reads on x86. Versions differ: what a tree has not is left out.
_HEADERS = (
    "Makefile",
    "Kbuild",
    "scripts",
    "include/uapi",
    "include/asm-generic",
    "arch/x86/Makefile",
    "arch/x86/Makefile_32.cpu",
    "arch/x86/Makefile.um",
    "arch/x86/include/uapi",
    "arch/x86/include/asm/Kbuild",
    "arch/x86/entry/syscalls",
    "arch/x86/tools",
    "tools/include",
)
# From v6.19 on a test names what all selftests share without a path.
_SELFTESTS = "tools/testing/selftests"
_COMMON = f"{_SELFTESTS}/kselftest.h"
# What tests include from elsewhere in the tree.
_BESIDE = (
    _COMMON,
    f"{_SELFTESTS}/kselftest_harness.h",
    f"{_SELFTESTS}/clone3/clone3_selftests.h",
    f"{_SELFTESTS}/pidfd/pidfd.h",
    "include/vdso",
    "lib/test_hmm_uapi.h",
    "mm/gup_test.h",
    "tools/include",
)
# The tests' Makefile makes them; on a host without liburing they are empty.
_LOCAL = ("local_config.h", "local_config.h_gen")
# Some tests map at 1 GiB, where the heap of a program at a fixed address may be put.
_LINK = "-static-pie"
# 6.12.117's khugepaged.c uses KSFT_SKIP without its header, hence -include.
_FLAGS = (
    *("-O2", "-w", "-fPIE", "-U_FORTIFY_SOURCE", "-D_GNU_SOURCE=", "-pthread"),
    *("-include", f"/src/{_COMMON}", "-isystem", "/headers", "-I", "/src"),
    *("-I", f"/src/{_SELFTESTS}", "-I", "/work", "-isystem", "/src/tools/include/uapi"),
    "-mxsave",
)
_MAIN = re.compile(rb"\bmain\s*\(|\bTEST_HARNESS_MAIN\b")


def find_source(home: Home, workload: Workload, commit: str) -> str | None:
    """Return the first of the workload's alternatives that the tree has."""
    there = store(home).paths(commit, workload.sources)
    return next((path for path in workload.sources if path in there), None)


def build_selftest(home: Home, workload: Workload, commit: str, progress: Progress) -> Program:
    """Build a selftest of the tree; ``argv[0]`` of the workload is its name.

    Raises UserError when the tree has none of the sources, BuildError when it does not compile.
    """
    source = find_source(home, workload, commit)
    if source is None:
        raise NotHereError(
            f"workload {workload.name}: the tree lacks {', '.join(workload.sources)}; "
            "another --tree may have it"
        )
    folder = str(PurePosixPath(source).parent)
    headers = _headers(home, commit, progress)
    objects = _objects(home, commit, (folder, *_BESIDE))
    name = workload.argv[0]

    def make(scratch: Path, out: Path) -> None:
        tree, work = scratch / "tree", scratch / "work"
        export(home, commit, tuple(objects), tree)
        work.mkdir()
        for header in _LOCAL:
            (work / header).touch()
        binds = (
            Bind(tree, "/src"),
            Bind(headers, "/headers"),
            Bind(work, "/work", writable=True),
            Bind(out, "/out", writable=True),
        )
        if not (tree / source).is_file():
            raise BuildError(f"selftest {source}: no file, or a link that leads to none")
        numa = ["-lnuma"] if b"<numa.h>" in (tree / source).read_bytes() else []
        for argv in _steps(source, _helpers(tree / folder), numa, name):
            sandboxed(f"selftest {source}", argv, binds, "/work", tight=True)

    digest = key(headers.name, source, name, *objects.values(), *_FLAGS, _LINK)
    built = cached(home, name, digest, progress, make)
    return Program(built, (built / name,))


def _helpers(folder: Path) -> list[str]:
    """Sources that tests share; from an archive the linker takes those that a test calls."""
    sources = [item for item in sorted(folder.glob("*.c")) if item.is_file()]
    return [item.name for item in sources if not _MAIN.search(item.read_bytes())]


def _steps(source: str, helpers: list[str], more: list[str], name: str) -> list[list[str]]:
    """Commands that compile. Not all versions have helpers; ``more``: libraries."""
    link = ["gcc", *_FLAGS, _LINK, "-o", f"/out/{name}", f"/src/{source}"]
    libraries = [*more, "-lrt", "-lm"]
    if not helpers:
        return [[*link, *libraries]]
    folder = PurePosixPath(source).parent
    objects = [item.replace(".c", ".o") for item in helpers]
    return [
        ["gcc", *_FLAGS, "-c", *(f"/src/{folder}/{item}" for item in helpers)],
        ["ar", "rcs", "helpers.a", *objects],
        [*link, "helpers.a", *libraries],
    ]


def _headers(home: Home, commit: str, progress: Progress) -> Path:
    """Headers as user space sees them (``make headers``), shared by trees that agree in them."""
    objects = _objects(home, commit, _HEADERS)

    def make(scratch: Path, out: Path) -> None:
        tree = scratch / "tree"
        export(home, commit, tuple(objects), tree)
        argv = ["make", "-j2", "-s", "ARCH=x86_64", "headers"]
        binds = [Bind(tree, "/src", True)]
        sandboxed("the tree's headers", argv, binds, "/src", deadline=600, tight=True)
        made = tree / "usr" / "include"
        if made.resolve() != tree.resolve() / "usr" / "include":
            raise BuildError("the tree's headers are a link out of its directory")
        for item in made.iterdir():
            item.rename(out / item.name)

    return cached(home, "headers", key(*objects.values()), progress, make)


def _objects(home: Home, commit: str, paths: tuple[str, ...]) -> dict[str, str]:
    """Git's object id for each of the paths that the tree has."""
    listing = store(home).git("ls-tree", "-z", commit, "--", *paths).text
    found = {}
    for line in listing.split("\0")[:-1]:
        meta, path = line.split("\t", 1)
        found[path] = meta.split()[2]
    return found
