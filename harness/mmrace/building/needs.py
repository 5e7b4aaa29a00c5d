# SPDX-License-Identifier: GPL-2.0-only
"""Config lines that a tree needs for what is in it, beside what races and users ask for."""

from collections.abc import Iterator

from mmrace.definitions.base import Need, load_toolchain
from mmrace.home import Home
from mmrace.sources.tree import store


def find_needs(home: Home, tree: str) -> tuple[Need, ...]:
    """Return the needs of ``patches/make.toml`` whose marks all hold in a tree (its hash)."""
    return tuple(_find(home, tree))


def _find(home: Home, tree: str) -> Iterator[Need]:
    git = store(home)
    for need in load_toolchain().need:
        texts = ((git.file(tree, mark.file) or b"").decode(errors="replace") for mark in need.marks)
        if all(mark.holds(text) for mark, text in zip(need.marks, texts, strict=True)):
            yield need
