# SPDX-License-Identifier: GPL-2.0-only
"""Kernel (and LTP) sources, side by side in one git object store of mmrace's own.

Each source is one commit without parents whose id depends on the content alone.
"""

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.errors import InfraError, MmraceError, UserError, disk_full, no_room
from mmrace.home import Home, publish, write_file
from mmrace.leftover import sweep
from mmrace.sources import debian
from mmrace.sources import source as sources
from mmrace.sources.git import Repository, create

Progress = Callable[[str], None]
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+:=~-]*$")


@dataclass(frozen=True)
class Tree:
    """A source that mmrace manages.

    ``version`` is a kernel's "6.1.192" (or LTP's release), ``source`` what the user named,
    ``identity`` what the source looked like then, ``kind`` "linux" or "ltp".
    """

    name: str
    commit: str
    tree_hash: str
    version: str
    source: str
    kind: str
    identity: str = ""


def store(home: Home) -> Repository:
    """The object store; made when there is none."""
    path = home.trees / "store.git"
    if not path.is_dir():
        with home.scratch(home.trees) as scratch:
            create(scratch / "git")
            publish(scratch / "git", path)
    return Repository(path)


def list_trees(home: Home) -> list[Tree]:
    """All trees, by name."""
    return [_read(path) for path in sorted(home.trees.glob("*.toml"))]


def find_tree(home: Home, name: str, progress: Progress) -> Tree:
    """Return a tree by name; ``debian:X`` adds itself, and again when the host has a newer one.

    Raises UserError with the names there are.
    """
    if "/" in name:
        raise UserError(f"no such directory: {name}; name a checkout, or a tree that was added")
    path = _record(home, name)
    known = _read(path) if path.is_file() else None
    if not name.startswith("debian:"):
        if known:
            return known
        names = ", ".join(tree.name for tree in list_trees(home)) or "none"
        raise UserError(
            f"no tree named {name!r}; known: {names}; add one by mmrace tree add {name} SOURCE"
        )
    with home.lock("debian", progress):
        tarball = debian.tarball(name, home.downloads, progress, fetch=known is None)
    if known and (tarball is None or known.identity == sources.identity(tarball)):
        return known
    tree = add_tree(home, name, name, None, progress)
    if known and known.version != tree.version:
        progress(f"{name} was {known.version}, Debian's source is {tree.version} now")
    return tree


def add_tree(home: Home, name: str, source: str, rev: str | None, progress: Progress) -> Tree:
    """Import a source under a name, in place of what had that name.

    ``source``: ``debian:X``, a tarball, a directory, a git repository or its URL (``rev``).
    Nothing is stored unless all of it is there. Raises UserError when the source is no kernel
    and no LTP, or damaged; InfraError when the disk is full.
    """
    _record(home, name)
    kept = store(home)
    with home.lock("tree-store", progress):
        sweep([home.trees], ".tmp-*")  # what a killed import left
        with home.scratch(home.trees) as scratch:
            git = create(scratch / "git")
            try:
                identity = sources.fetch(git, source, rev, home.downloads, progress)
                top = _top(git, source)
                kind, version = _kind(git, top, source)
                sources.check_links(git, top, source)
                move_packs(git, kept)
                commit = _commit(kept, top, f"{kind} {version}\n\nImported by mmrace.\n")
            except MmraceError as error:
                if no_room(error.message + error.detail):
                    raise disk_full(home.trees) from error
                raise
        tree = keep_record(home, Tree(name, commit, top, version, source, kind, identity))
    progress(f"{name}: {tree.kind} {tree.version}")
    return tree


def keep_record(home: Home, tree: Tree) -> Tree:
    """Let a tree be found by its name; UserError when that cannot be one."""
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in asdict(tree).items())
    write_file(_record(home, tree.name), text)
    return tree


def adopt(home: Home, top: str, name: str) -> Tree:
    """Return a tree whose objects the store has already; it gets no record.

    Raises UserError when it is no kernel and no LTP.
    """
    kept = store(home)
    kind, version = _kind(kept, top, name)
    sources.check_links(kept, top, name)
    commit = _commit(kept, top, f"{kind} {version}\n\nImported by mmrace.\n")
    return Tree(name, commit, top, version, name, kind)


def checkout(home: Home, commit: str, folder: Path) -> None:
    """Make ``folder`` hold the commit; a file that stays the same keeps its time of change.

    The index is beside the folder (``FOLDER.index``), not in it: kbuild names a kernel after a
    ``.git`` that it finds. The caller holds a lock on the folder; a killed call is made good by
    the next one. 80,000 files take some 15 s the first time, a change of a few 0.3 s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder.parent / f"{folder.name}.index"
    index.with_name(index.name + ".lock").unlink(missing_ok=True)
    here = replace(store(home), work=folder, index=index)
    settings = ("-c", "checkout.workers=2", "-c", "core.checkStat=minimal")
    here.git(*settings, "read-tree", "--reset", "-u", commit, deadline=900)


def export(home: Home, commit: str, paths: Sequence[str], folder: Path) -> None:
    """Write some files or directories of the commit below ``folder``.

    Raises UserError naming a path that the commit does not have.
    """
    kept = store(home)
    for path in paths:
        if not kept.paths(commit, (path.rstrip("/"),)):
            raise UserError(f"{path} is not in the tree {commit[:12]}; add the tree again")
    folder.mkdir(parents=True, exist_ok=True)
    with home.scratch(folder.parent) as scratch:
        here = replace(kept, work=folder.absolute(), index=scratch / "index")
        here.git("--literal-pathspecs", "checkout", "--quiet", commit, "--", *paths, deadline=600)


def _top(git: Repository, source: str) -> str:
    """Return the tree object of the sources: all that was imported, or its one directory."""
    top = git.rev(f"{sources.REF}^{{tree}}")
    entries = git.git("ls-tree", top).text.splitlines() if top else []
    if top is None or not entries:
        raise UserError(f"{source}: holds no file; name a kernel source")
    if len(entries) == 1 and entries[0].split()[1] == "tree":
        return entries[0].split()[2]
    return top


def _commit(kept: Repository, top: str, message: str) -> str:
    commit = kept.git("commit-tree", top, "-F", "-", stdin=message.encode()).text.strip()
    kept.set_ref(f"refs/mmrace/trees/{commit}", commit)
    return commit


def _kind(git: Repository, top: str, source: str) -> tuple[str, str]:
    if git.paths(top, ("include/tst_test.h", "testcases/kernel")):
        return "ltp", (git.file(top, "VERSION") or b"unknown").decode(errors="replace").strip()
    makefile = (git.file(top, "Makefile") or b"").decode(errors="replace")
    found = dict(re.findall(r"^(\w+) *= *(\S*) *$", makefile[:4096], re.MULTILINE))
    if not found.get("VERSION", "").isdigit() or "PATCHLEVEL" not in found:
        raise UserError(
            f"{source}: neither a kernel nor LTP; name a directory whose Makefile has VERSION"
        )
    if not git.paths(top, ("mm",)):
        raise UserError(f"{source}: no mm/ in it; name a whole kernel source")
    numbers = (found["VERSION"], found["PATCHLEVEL"], found.get("SUBLEVEL") or "0")
    return "linux", ".".join(numbers) + found.get("EXTRAVERSION", "")


def move_packs(git: Repository, kept: Repository) -> None:
    """Take over the objects; an index comes last, for it is what makes a pack visible."""
    packs = kept.path / "objects" / "pack"
    packs.mkdir(parents=True, exist_ok=True)
    for suffix in (".pack", ".rev", ".idx"):
        for path in (git.path / "objects" / "pack").glob(f"*{suffix}"):
            path.rename(packs / path.name)


def _record(home: Home, name: str) -> Path:
    if not _NAME.match(name):
        raise UserError(f"not a name for a tree: {name!r}; use letters, digits and . _ + : = ~ -")
    return home.trees / f"{name}.toml"


def _read(path: Path) -> Tree:
    try:
        return Tree(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InfraError(
            f"{path} is damaged ({error}); remove it and add the tree again"
        ) from error
