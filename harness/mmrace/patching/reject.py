# SPDX-License-Identifier: GPL-2.0-only
"""Why a patch does not fit: the hunk, what the file holds there, and which tree would take it."""

import re
from dataclasses import replace

from mmrace.definitions.base import base_for
from mmrace.errors import MmraceError, UserError
from mmrace.home import Home
from mmrace.patching.patch import Patch
from mmrace.sources.git import Repository, last_line
from mmrace.sources.tree import Tree, list_trees

_AT = re.compile(r"patch failed: (.+):(\d+)$", re.M)
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@", re.M)


def explain(home: Home, tree: Tree, git: Repository, patch: Patch, said: str) -> UserError:
    """Return the error for a patch that does not fit at the HEAD of ``git``."""
    done = git.git("apply", "--cached", "--check", "-", stdin=patch.diff, check=False)
    found = _AT.search(done.errors)
    if not found:
        reason = last_line(done.errors) if done.returncode else said
        return UserError(f"{patch.name} does not apply to {tree.name}: {reason}")
    file, line = found[1], int(found[2])
    number, length, hunk = _hunk(patch, file, line)
    now = (git.file("HEAD", file) or b"").decode(errors="replace").splitlines()
    start = _place(now, hunk, line, length)
    shown = enumerate(now[start - 1 : start - 1 + length], start)
    present = "\n".join(f"{n:6} {text}" for n, text in shown)
    takers = _takers(home, tree, git, patch)
    where = f"; it applies to {takers}" if takers else "; no other tree here would take it"
    return UserError(
        f"{patch.name} does not apply to {tree.name}: hunk {number} of {file}, line {line}{where}",
        f"the hunk:\n{hunk}\n{file} has there now:\n{present or '       (the file ends before)'}",
    )


def _hunk(patch: Patch, file: str, line: int) -> tuple[int, int, str]:
    """Return number, length in the old file, and text of the hunk at a line of a file."""
    text = patch.diff.decode(errors="replace")
    parts = re.split(r"^(?=diff --git |--- a/)", text, flags=re.M)
    for part in parts:
        hunks = re.split(r"^(?=@@ )", part, flags=re.M)
        if not re.search(rf"^(\+\+\+ b/|--- a/){re.escape(file)}$", hunks[0], re.M):
            continue
        for number, hunk in enumerate(hunks[1:], 1):
            head = _HUNK.match(hunk)
            if head and int(head[1]) == line:
                return number, int(head[2] or 1), hunk.rstrip("\n")
    return 1, 10, ""


def _place(now: list[str], hunk: str, line: int, length: int) -> int:
    """Return the line from which the file has most of the hunk's old lines, nearest to its own."""
    old = {text[1:] for text in hunk.splitlines()[1:] if text[:1] in " -" and len(text) > 3}
    known = [text in old for text in now]
    starts = range(1, max(2, len(now) - length + 2))
    return max(starts, key=lambda n: (sum(known[n - 1 : n - 1 + length]), -abs(n - line)))


def _takers(home: Home, tree: Tree, git: Repository, patch: Patch) -> str:
    """Name the other trees here, and their bases, where the patch would fit."""
    names = []
    for other in list_trees(home):
        if other.kind != "linux" or other.commit == tree.commit:
            continue
        probe = replace(git, index=git.path / "takers")
        (git.path / "takers").unlink(missing_ok=True)
        listed = probe.git("ls-tree", "-z", other.commit, "--", *patch.files).stdout
        probe.git("update-index", "-z", "--index-info", stdin=listed)
        done = probe.git("apply", "--cached", "--check", "-", stdin=patch.diff, check=False)
        if not done.returncode:
            names.append(f"{other.name} (base {_base_name(other)})")
    return ", ".join(names)


def _base_name(tree: Tree) -> str:
    try:
        base = base_for(tree.version)
    except MmraceError:
        return "none"
    return base.name if base.covered else "none"
