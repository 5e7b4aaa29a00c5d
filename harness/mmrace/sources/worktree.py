# SPDX-License-Identifier: GPL-2.0-only
"""A checkout as it lies on the disk, with what is not committed, as a tree.

The checkout and its repository are only read: git gets an index and an object directory of
mmrace's own.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.progress import Step
from mmrace.sources.checkout import ask, is_checkout, top_of
from mmrace.sources.copying import copy_objects
from mmrace.sources.git import create, last_line
from mmrace.sources.tree import Tree, add_tree, adopt, keep_record

Progress = Callable[[str], None]


def take_worktree(home: Home, name: str, progress: Progress) -> Tree:
    """Return a checkout's files as they are, but those that git ignores, as a tree.

    The tree is called ``TOP@HASH`` by the hash of its content, so that the same files are the same
    tree, and can be named later when the checkout has changed. Raises UserError when the directory
    is no checkout of a kernel, or has conflicts in it.
    """
    top = top_of(name)
    unmerged = ask(top, "diff", "--name-only", "--diff-filter=U", "-z").text.split("\0")[0]
    if unmerged:
        raise UserError(f"{name}: {unmerged} has conflicts; resolve them first")
    with home.lock("tree-store", progress), home.scratch(home.trees) as scratch:
        made = create(scratch / "git")
        index = _git_path(top, "index")
        if index.is_file():  # its times spare git reading every file
            shutil.copyfile(index, scratch / "index")
        # Without the objects of the checkout, as git would write their times.
        objects = made.path / "objects"
        lent = {"GIT_INDEX_FILE": scratch / "index", "GIT_OBJECT_DIRECTORY": objects}
        progress(f"reading {top}")
        _checked(top, lent, "add", "--all", "--", ":/")
        content = _checked(top, lent, "write-tree", "--missing-ok")
        copy_objects(home, top, content, objects)
        return adopt(home, content, f"{top}@{content}")


def name_content(home: Home, name: str, step: Step) -> str:
    """Take a checkout as it is, and return the name of that tree; errors as ``take_worktree``."""
    if not is_checkout(name):
        raise UserError(f"--dirty: {name} is not the path of a checkout; give one, or leave it out")
    with step(f"checkout {name}") as tell:
        tree = take_worktree(home, name, tell)
        tell(f"= Linux {tree.version}, content {tree.tree_hash[:12]}")
    return tree.name


def add_source(
    home: Home, name: str, source: str, rev: str | None, progress: Progress, *, dirty: bool
) -> Tree:
    """Add a source under a name; ``dirty``: a checkout's files as they are.

    Raises UserError as ``add_tree`` and ``take_worktree`` do.
    """
    if not dirty:
        return add_tree(home, name, source, rev, progress)
    if rev:
        raise UserError("--dirty takes the files of a checkout, --rev a commit; give one")
    return add_worktree(home, name, source, progress)


def add_worktree(home: Home, name: str, source: str, progress: Progress) -> Tree:
    """Keep a checkout's files as they are under a name; errors as ``take_worktree``."""
    taken = take_worktree(home, source, progress)
    return keep_record(home, replace(taken, name=name, source=source, identity=taken.tree_hash))


def _checked(top: Path, lent: Mapping[str, Path], *words: str) -> str:
    done = ask(top, *words, lent=lent)
    if done.returncode:
        raise UserError(
            f"{top}: git {words[0]} failed: {last_line(done.errors)}; repair the checkout"
        )
    return done.text.strip()


def _git_path(top: Path, name: str) -> Path:
    done = ask(top, "rev-parse", "--path-format=absolute", "--git-path", name)
    return Path(done.text.strip())
