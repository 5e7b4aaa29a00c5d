# SPDX-License-Identifier: GPL-2.0-only
"""The source of a build: files that all builds of a base share, but for those that differ.

A checkout of Linux is 1.3 GB in 80,000 files, the larger part of each build directory. One for each
base is made; the source of a build is a tree of links to its files. Git replaces a file and never
writes into one, and builds see their source read-only, so no build changes another's source. A file
that stays the same keeps its time, by which make decides.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from mmrace.home import Home, publish, source_lock
from mmrace.leftover import holding
from mmrace.proc import run
from mmrace.sources.tree import checkout

_TREE = "tree"
_DEADLINE = 900.0


def check_out(
    home: Home,
    base: str,
    commit: str,
    folder: Path,
    progress: Callable[[str], None],
    *,
    share: bool = True,
) -> None:
    """Make ``folder`` hold a commit; with ``share`` by links where the shared source has the same.

    The caller holds a lock on the folder. Raises InfraError when the disk is full.
    """
    if share and not folder.is_dir():
        _link(home, base, commit, folder, progress)
    checkout(home, commit, folder)


def _link(
    home: Home, base: str, commit: str, folder: Path, progress: Callable[[str], None]
) -> None:
    shared = home.sources / base
    with home.lock(source_lock(base), progress), holding(home.sources):
        if not shared.is_dir():
            progress("checking out the source that builds share")
            with home.scratch(home.sources) as made:
                checkout(home, commit, made / _TREE)
                publish(made, shared)
        link_source(home, shared / _TREE, folder)  # if not, git writes all files


def link_source(home: Home, there: Path, here: Path) -> bool:
    """Copy a source by links to its files, with git's record of it.

    False where that is not possible: another file system, or too many links.
    """
    with home.scratch(here.parent) as made:
        linked = made / here.name
        if run(["cp", "-al", there, linked], deadline=_DEADLINE).returncode:
            _index(here).unlink(missing_ok=True)
            return False
        if _index(there).is_file():
            shutil.copy2(_index(there), _index(here))
        publish(linked, here)
    return True


def _index(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.index")
