# SPDX-License-Identifier: GPL-2.0-only
"""Revisions of a repository on this host as trees, ``REPOSITORY@REVISION``, one after the other.

What the store has of one revision it does not take again for the next, so that a bisection pays
for each what differs. The repository is only read.
"""

import re
from collections.abc import Callable
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.proc import run
from mmrace.sources.checkout import is_checkout, refuse_changes, top_of
from mmrace.sources.copying import copy_objects
from mmrace.sources.git import GIT, last_line
from mmrace.sources.tree import Tree, adopt, store

Progress = Callable[[str], None]


def is_revision(name: str) -> bool:
    """Whether a tree's name is of the form REPOSITORY@REVISION, or a checkout's path."""
    path, at, revision = name.rpartition("@")
    return is_checkout(name) or (bool(at and revision) and Path(path).expanduser().is_dir())


def find_revision(home: Home, name: str, progress: Progress) -> Tree:
    """Return the tree of REPOSITORY@REVISION, its objects copied to the store when they are not.

    The tree is named by the commit's id, 12 digits or as many as it needs to be unique. The path of
    a checkout denotes its HEAD, if nothing differs from it. Raises UserError when something does,
    when there is no such revision or when it is no kernel.
    """
    path, _, revision = name.rpartition("@")
    if is_checkout(name):
        path, revision = str(top_of(name)), "HEAD"
        refuse_changes(name, Path(path), f"{name.rstrip('/')}@HEAD")
    repo = Path(path).expanduser().absolute()
    if _is_kept(home, revision):
        with home.lock("tree-store", progress):
            return adopt(home, revision, f"{repo}@{revision}")
    commit = _ask(repo, "rev-parse", "--verify", "--short=12", f"{revision}^{{commit}}")
    top = _ask(repo, "rev-parse", f"{commit}^{{tree}}")
    with home.lock("tree-store", progress):
        if not store(home).rev(f"{top}^{{tree}}"):
            progress(f"taking {commit} from {repo}")
            copy_objects(home, repo, top)
        return adopt(home, top, f"{repo}@{commit}")


def _is_kept(home: Home, revision: str) -> bool:
    """Whether a revision is the content of a work tree that was taken before."""
    if not re.fullmatch(r"[0-9a-f]{40,64}", revision):
        return False
    return store(home).rev(f"{revision}^{{tree}}") == revision


def _ask(repo: Path, *words: str) -> str:
    """Ask the user's repository; it answers as it would answer the user."""
    env = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    done = run([*GIT, "-C", repo, *words], deadline=60, env=env)
    if done.returncode:
        raise UserError(
            f"{repo}: git {words[0]} {words[-1]}: {last_line(done.errors)}; check the revision"
        )
    return done.text.strip()
