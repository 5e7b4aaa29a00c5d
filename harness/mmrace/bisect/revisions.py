# SPDX-License-Identifier: GPL-2.0-only
"""The git side of a bisection: the commits between two ends, and a checkout of any of them.

The user's repository is read only; what is checked out lives in a clone that shares its objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from mmrace import proc
from mmrace.bisect.dag import Dag
from mmrace.errors import InfraError, UserError

_DEADLINE = 600.0
_ENV = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
# What cannot change a kernel's behaviour gets a tenth of the usual weight, not none.
_HARMLESS = ("Documentation/*", "*.rst", "*.md", "*.txt", "MAINTAINERS", "LICENSES/*", "samples/*")
_LIKELY, _UNLIKELY = 8.0, 0.1


@dataclass(frozen=True)
class Commit:
    """A commit: ids, the paths that it changed (a merge: against all parents), its tree's id."""

    id: str
    parents: tuple[str, ...]
    subject: str
    paths: tuple[str, ...]
    tree: str = ""


def git(repo: Path, *argv: str) -> str:
    """Run git in a repository; UserError with git's own first line when it refuses."""
    done = proc.run(["git", "-C", repo, *argv], deadline=_DEADLINE, env=_ENV)
    if done.returncode:
        reason = next(
            (line for line in done.errors.splitlines() if line.strip()), "no reason given"
        )
        raise UserError(
            f"git {argv[0]} in {repo}: {reason}; check --repo and the revisions", done.errors
        )
    return done.text


def resolve(repo: Path, revision: str) -> str:
    """Return the full id of a commit; UserError when the repository has none of that name."""
    if revision.startswith("-"):
        raise UserError(f"not a revision: {revision!r}; name a commit, a tag or a branch")
    try:
        return git(repo, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except UserError as error:
        raise UserError(
            f"{repo} has no commit {revision!r}; name a commit, a tag or a branch", error.detail
        ) from error


def order(repo: Path, good: str, bad: str) -> tuple[str, str, bool]:
    """Return the older and the newer of two revisions, and whether the bad one is the older.

    Raises UserError when neither contains the other.
    """
    holds, fails = resolve(repo, good), resolve(repo, bad)
    base = git(repo, "merge-base", holds, fails).strip()
    if base == holds:
        return holds, fails, False
    if base == fails:
        return fails, holds, True
    raise UserError(
        f"neither of {good} and {bad} contains the other; name an ancestor, such as {base[:12]}"
    )


def between(repo: Path, older: str, newer: str) -> tuple[Commit, ...]:
    """Return the commits that ``newer`` has and ``older`` has not, parents before children.

    Both are full ids. Raises UserError when there are none or ``older`` is no ancestor.
    """
    base = git(repo, "merge-base", older, newer).strip()
    if base != older:
        raise UserError(f"{older[:12]} is not an ancestor of {newer[:12]}; try {base[:12]}")
    text = git(
        repo,
        *("-c", "core.quotePath=off", "log", "--topo-order", "--reverse", "--no-show-signature"),
        *("-c", "--name-only", "--format=%x01%H%x00%P%x00%s%x00%T%x00", f"{older}..{newer}"),
    )
    commits = tuple(_commit(block) for block in text.split("\x01")[1:])
    if not commits:
        raise UserError(f"{older[:12]} and {newer[:12]} are the same commit; name two")
    return commits


def _commit(block: str) -> Commit:
    name, parents, subject, tree, paths = block.split("\x00", 4)
    changed = tuple(filter(None, paths.split("\n")))
    return Commit(name, tuple(parents.split()), subject, changed, tree)


def graph(commits: Sequence[Commit], older: str) -> Dag:
    """Make the graph that a bisection works on."""
    return Dag([one.id for one in commits], [one.parents for one in commits], older)


def weigh(commits: Sequence[Commit], likely: Sequence[str] = ()) -> tuple[float, ...]:
    """Return prior weights by the paths touched; ``likely`` are prefixes that point to the race.

    A guess, so it stays mild: the runs outweigh it soon, and no commit is ruled out.
    """
    return tuple(_weight(one.paths, tuple(likely)) for one in commits)


def _weight(paths: Sequence[str], likely: tuple[str, ...]) -> float:
    if likely and any(path.startswith(likely) for path in paths):
        return _LIKELY
    harmless = all(any(fnmatch(path, pattern) for pattern in _HARMLESS) for path in paths)
    return _UNLIKELY if harmless else 1.0


def share(repo: Path, into: Path) -> Path:
    """Make the clone, or find it made; return its path.

    It borrows the objects of ``repo``, where nothing is written. Raises UserError when ``repo``
    is no git repository.
    """
    if not (into / ".git").is_dir():
        into.parent.mkdir(parents=True, exist_ok=True)
        source = git(repo, "rev-parse", "--absolute-git-dir").strip()
        git(repo, "clone", "--quiet", "--shared", "--no-checkout", source, str(into))
    return into


def checkout(clone: Path, revision: str) -> None:
    """Put the files of a commit into the clone; what a build left there stays."""
    argv = ["checkout", "--quiet", "--force", "--detach", revision]
    done = proc.run(["git", "-C", clone, *argv], deadline=_DEADLINE, env=_ENV)
    if done.returncode:
        raise InfraError(f"cannot check out {revision[:12]} in {clone}", done.errors)
