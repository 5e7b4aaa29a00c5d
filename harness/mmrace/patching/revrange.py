# SPDX-License-Identifier: GPL-2.0-only
"""Commits of a user's own repository as mails; the repository is only read."""

import re
from pathlib import Path

from mmrace.errors import UserError
from mmrace.proc import Completed, run
from mmrace.sources.git import GIT, last_line

MOST = 500  # commits: more than that was not meant as a series
_STARTS = ("{0}@{{upstream}}", "origin/HEAD", "main", "master")


def range_mails(repository: Path, revisions: str) -> tuple[bytes, str, str]:
    """Return commits as a mailbox, a note, and the range by ids.

    They are named as ``A..B``, a commit by its id, or a branch.

    Of a branch it is what it has on top of where it began: at its upstream, at the main branch, or
    at the last version that it holds. Raises UserError when there is no such range, when it holds
    a merge, or is too long.
    """
    note = ""
    if _is_commit(repository, revisions):
        revisions = _one_commit(repository, revisions)
    elif ".." not in revisions:
        start = _start(repository, revisions)
        note = f"{revisions} since {start}"
        revisions = f"{start}..{revisions}"
    elif "..." in revisions:
        raise UserError(f"{repository}: not a range: {revisions}; say A..B, with two dots")
    listed = _git(repository, "rev-list", "--parents", "--end-of-options", *revisions.split(), "--")
    if listed.returncode:
        raise UserError(
            f"{repository}: no range {revisions!r}: {last_line(listed.errors)}; say A..B"
        )
    commits = [line.split() for line in listed.text.splitlines()]
    if merge := next((commit[0] for commit in commits if len(commit) > 2), None):
        raise UserError(
            f"{repository}: {revisions} contains the merge {merge[:12]}; name a linear range"
        )
    if len(commits) > MOST:
        raise UserError(
            f"{repository}: {revisions} holds {len(commits)} commits; name {MOST} at most"
        )
    words = ["format-patch", "--stdout", "--binary", "--no-signature", "--no-thread"]
    words += ["--no-attach", "--no-base", "--subject-prefix=PATCH", "--numbered", "--no-ext-diff"]
    words += ["--src-prefix=a/", "--dst-prefix=b/", "--root"]
    done = _git(repository, *words, "--end-of-options", *revisions.split())
    if done.returncode:
        why = last_line(done.errors)
        raise UserError(f"{repository}: no range {revisions!r}: {why}; say A..B")
    return done.stdout, note, _by_ids(repository, revisions)


def _by_ids(repository: Path, revisions: str) -> str:
    """The range as it will be when its branches have moved."""
    words = ("rev-parse", "--revs-only", "--end-of-options", *revisions.split())
    ids = [line for line in _git(repository, *words).text.split() if line != "--end-of-options"]
    excluded = [line[1:] for line in ids if line.startswith("^")]
    tips = [line for line in ids if not line.startswith("^")]
    return f"{excluded[0]}..{tips[0]}" if excluded and tips else "".join(tips[:1]) or revisions


def _is_commit(repository: Path, name: str) -> bool:
    """Whether a name is the id of a commit, and no branch is called so."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", name):
        return False
    return _git(repository, "show-ref", "--verify", "--quiet", f"refs/heads/{name}").returncode != 0


def _one_commit(repository: Path, name: str) -> str:
    """The range that holds one commit."""
    found = _git(repository, "rev-list", "--parents", "-1", f"{name}^{{commit}}", "--")
    if found.returncode:
        raise UserError(
            f"{repository}: no commit {name!r}: {last_line(found.errors)}; name another"
        )
    commit, *parents = found.text.split()
    if len(parents) > 1:
        raise UserError(f"{repository}: {name} is a merge; name a commit that it merges, or A..B")
    return f"{parents[0]}..{commit}" if parents else commit


def _start(repository: Path, branch: str) -> str:
    """The commit from which a branch has gone its own way."""
    head = _git(repository, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}")
    if head.returncode:
        raise UserError(f"{repository}: no branch {branch!r}; say A..B")
    tip = head.text.strip()
    for form in _STARTS:
        found = _git(repository, "merge-base", form.format(branch), tip)
        if found.returncode == 0 and found.text.strip() != tip:
            return found.text.strip()[:12]
    found = _git(repository, "describe", "--abbrev=0", "--match", "v[0-9]*", f"{tip}~1")
    if found.returncode:
        raise UserError(f"{repository}: where {branch} branched off cannot be found; say A..B")
    return found.text.strip()


def _git(repository: Path, *words: str) -> Completed:
    argv = [*GIT, "-C", str(repository), *words]
    return run(argv, deadline=120, env={"GIT_OPTIONAL_LOCKS": "0"})
