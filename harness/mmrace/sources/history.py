# SPDX-License-Identifier: GPL-2.0-only
"""Revisions of a repository on this host as trees, ``REPOSITORY@REVISION``, one after the other.

What the store has of one revision it does not take again for the next, so that a bisection pays
for each what differs. The repository is only read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.proc import run
from mmrace.sources.git import GIT, create, last_line
from mmrace.sources.tree import Tree, adopt, move_packs, store

Progress = Callable[[str], None]
_KEPT = 64  # revisions whose objects the next one is compared with


def is_revision(name: str) -> bool:
    """Whether a tree's name is of the form REPOSITORY@REVISION."""
    path, at, revision = name.rpartition("@")
    return bool(at and revision) and Path(path).expanduser().is_dir()


def find_revision(home: Home, name: str, progress: Progress) -> Tree:
    """Return the tree of REPOSITORY@REVISION, its objects copied to the store when they are not.

    The tree is named by the commit's full id. Raises UserError when there is no such revision or
    it is no kernel.
    """
    path, _, revision = name.rpartition("@")
    repo = Path(path).expanduser().absolute()
    commit = _ask(repo, "rev-parse", "--verify", f"{revision}^{{commit}}")
    top = _ask(repo, "rev-parse", f"{commit}^{{tree}}")
    with home.lock("tree-store", progress):
        if not store(home).rev(f"{top}^{{tree}}"):
            progress(f"taking {commit[:12]} from {repo}")
            _copy(home, repo, top)
        return adopt(home, top, f"{repo}@{commit}")


def _ask(repo: Path, *words: str) -> str:
    """Ask the user's repository; it answers as it would answer the user."""
    env = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    done = run([*GIT, "-C", repo, *words], deadline=60, env=env)
    if done.returncode:
        raise UserError(f"{repo}: git {words[0]} {words[-1]}: {last_line(done.errors)}")
    return done.text.strip()


def _copy(home: Home, repo: Path, top: str) -> None:
    """Copy a tree's objects, but those of revisions that were copied before."""
    objects = Path(_ask(repo, "rev-parse", "--path-format=absolute", "--git-path", "objects"))
    record = home.trees / "copied" / f"{hashlib.sha256(str(objects).encode()).hexdigest()}.json"
    known = _known(home, record)
    with home.scratch(home.trees) as scratch:
        git = create(scratch / "git")
        # git writes its temporary files beside the objects: these are not the user's.
        alternates = git.path / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{objects}\n", encoding="utf-8")
        there = [one for one in known if git.rev(f"{one}^{{tree}}")]
        asked = "".join([f"{top}\n", *(f"^{one}\n" for one in there)])
        words = ("pack-objects", "--quiet", "--revs", git.path / "objects" / "pack" / "pack")
        (git.path / "objects" / "pack").mkdir(exist_ok=True)
        git.git(*words, stdin=asked.encode(), deadline=1800)
        move_packs(git, store(home))
    write_file(record, json.dumps([*known, top][-_KEPT:]))


def _known(home: Home, record: Path) -> list[str]:
    """Trees that were copied from a repository before, as far as the store still has them."""
    try:
        listed: Iterable[str] = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in listed if store(home).rev(f"{one}^{{tree}}")]
