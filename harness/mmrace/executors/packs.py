# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources for workers: git packs of the objects that a tree consists of.

One tree of each base is sent whole (300 MB); for other trees only the difference to it (some KB).
"""

from collections.abc import Iterable
from pathlib import Path

from mmrace.errors import InfraError
from mmrace.home import Home
from mmrace.leftover import keep
from mmrace.sources.tree import store

_DEADLINE = 1800.0
Packs = tuple[tuple[str, str], ...]  # (tree hash, name of the pack in the cache)


def make_packs(home: Home, base: str, tree_hash: str) -> Packs:
    """Return the packs that a worker without any source needs for a tree; make missing ones.

    The caller has to send them in this order. Raises InfraError when git fails.
    """
    with home.lock("packs"):
        whole = _whole(home, base) or tree_hash
        found = [(whole, home.packs / f"{base}-{whole}.pack", [whole])]
        if tree_hash != whole:
            beside = home.packs / f"{tree_hash}-{whole}.pack"
            found.append((tree_hash, beside, [tree_hash, f"^{whole}"]))
        for _, path, revs in found:
            if not keep(path):
                _make(home, path, revs)
    return tuple((tree, f"{home.packs.name}/{path.name}") for tree, path, _ in found)


def lacking(home: Home, packs: Packs) -> Packs:
    """Return the packs whose trees are not in the store; none when it has the last one's tree."""
    if has_tree(home, packs[-1][0]):
        return ()
    return tuple((tree, name) for tree, name in packs if not has_tree(home, tree))


def take_packs(home: Home, packs: Iterable[tuple[str, str]]) -> None:
    """Import packs from the cache into the tree store; InfraError when a pack lacks its tree."""
    with home.lock("tree-store"):
        for tree, name in packs:
            words = ("index-pack", "--stdin")
            store(home).git(*words, stdin=home.cache / name, deadline=_DEADLINE)
            if not has_tree(home, tree):
                raise InfraError(f"{name} does not have the tree {tree[:12]}; it is not used")


def has_tree(home: Home, tree: str) -> bool:
    """Whether the store has a tree; it then has all of its objects, as packs are complete."""
    return store(home).rev(f"{tree}^{{tree}}") is not None


def _whole(home: Home, base: str) -> str | None:
    """The tree of a base of which there is a complete pack, None when there is none."""
    for path in sorted(home.packs.glob(f"{base}-*.pack")):
        tree = path.stem.removeprefix(f"{base}-")
        if has_tree(home, tree):
            return tree
    return None


def _make(home: Home, path: Path, revs: Iterable[str]) -> None:
    with home.scratch(home.packs) as scratch:
        revisions = "".join(f"{one}\n" for one in revs)
        words = ("pack-objects", "--quiet", "--revs", scratch / "made")
        store(home).git(*words, stdin=revisions.encode(), deadline=_DEADLINE)
        (made,) = scratch.glob("*.pack")
        made.rename(path)
    keep(path)
