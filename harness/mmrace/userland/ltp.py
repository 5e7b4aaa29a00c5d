# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the Linux Test Project, built unmodified from the source that the user names."""

import os
import shutil
from pathlib import Path

from mmrace.definitions.race import Workload
from mmrace.errors import BuildError, InfraError
from mmrace.home import Home, program_lock
from mmrace.proc import Bind
from mmrace.sources.tree import checkout
from mmrace.userland.compiler import Program, Progress, cached, key, sandboxed


def build_ltp(home: Home, workload: Workload, commit: str, progress: Progress) -> Program:
    """Build one test: ``sources[0]`` is its directory in LTP, ``argv[0]`` its name.

    The first test of an LTP source takes a minute, for its configure and its library.
    """
    name = workload.argv[0]

    def make(_scratch: Path, out: Path) -> None:
        tree = _configured(home, commit, progress)
        # LDFLAGS=-static would go to shared objects too, and break the link.
        argv = ["make", f"-j{os.cpu_count() or 1}", "-C", workload.sources[0], name]
        argv.append("CC=gcc -static")
        with home.lock(program_lock(tree.parent.name), progress):
            binds = [Bind(tree, "/src", writable=True)]
            sandboxed(f"LTP {name}", argv, binds, "/src", deadline=900)
        built = tree / workload.sources[0] / name
        if not built.is_file():
            raise BuildError(f"LTP {name} does not build: make left no {built.name}")
        shutil.copy2(built, out / name)

    folder = cached(home, name, key(commit, *workload.sources, name), progress, make)
    return Program(folder, (folder / name,))


def _configured(home: Home, commit: str, progress: Progress) -> Path:
    """LTP's source, configured; tests are built inside it, so that its library is built once."""

    def make(_scratch: Path, out: Path) -> None:
        checkout(home, commit, out / "src")
        binds = [Bind(out / "src", "/src", writable=True)]
        for argv in (["make", "autotools"], ["./configure"]):
            progress(f"LTP: {' '.join(argv)}")
            sandboxed("LTP", argv, binds, "/src", deadline=600)
        config = (out / "src" / "include" / "config.h").read_text(encoding="utf-8")
        if "#define HAVE_NUMA_V2 1" not in config:
            raise InfraError("LTP found no libnuma; apt-get install libnuma-dev")

    return cached(home, "ltp", key(commit), progress, make) / "src"
