# SPDX-License-Identifier: GPL-2.0-only
"""The level of a patch's paths (``patch -pN``), found from the tree that it is for."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from mmrace.errors import UserError
from mmrace.patching.diff import at_level, parse
from mmrace.patching.patch import Patch, Series, with_diff
from mmrace.sources.git import Repository

_OTHERS = (0, 2, 3)


def at_tree_level(
    git: Repository, commit: str, series: Sequence[Series]
) -> tuple[tuple[Series, ...], list[str]]:
    """Return the series with all patches from outside at level 1, and what to say of it.

    A patch of whose files the tree has none is read at the level at which it has all of them.
    """
    made: set[str] = set()
    done, notes = [], []
    for item in series:
        patches = []
        for patch in item.patches:
            level, placed = _placed(git, commit, made, patch) if item.outside else (1, patch)
            notes += [f"{patch.name}: its paths are of level -p{level}"] if level != 1 else []
            made.update(placed.files)
            patches.append(placed)
        done.append(replace(item, patches=tuple(patches)))
    return tuple(done), notes


def _placed(git: Repository, commit: str, made: set[str], patch: Patch) -> tuple[int, Patch]:
    if _share(git, commit, made, patch.diff) != 0:
        return 1, patch
    for level in _OTHERS:
        diff = at_level(patch.diff, level)
        if _share(git, commit, made, diff) == 1:
            with suppress(UserError):
                return level, with_diff(git, patch, diff)
    return 1, patch


def _share(git: Repository, commit: str, made: set[str], diff: bytes) -> float | None:
    """Share of the files to be changed that are there; None when the patch only makes files."""
    files = {file.old for file in parse(diff) if file.old}
    if not files:
        return None
    there = set(git.paths(commit, sorted(files))) | (files & made)
    return len(files & there) / len(files)
