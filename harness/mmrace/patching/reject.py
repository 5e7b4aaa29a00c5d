# SPDX-License-Identifier: GPL-2.0-only
"""Why a patch does not fit: the hunk, what the file holds there, and which tree would take it."""

import re
from collections.abc import Sequence
from dataclasses import replace

from mmrace.definitions.base import base_for
from mmrace.errors import MmraceError, UserError
from mmrace.home import Home
from mmrace.patching.diff import Hunk, parse
from mmrace.patching.patch import Patch
from mmrace.patching.present import find_hunk
from mmrace.sources.git import Repository, last_line
from mmrace.sources.tree import Tree, list_trees

_AT = re.compile(r"patch failed: (.+):(\d+)$", re.M)


def explain(
    home: Home, tree: Tree, git: Repository, patch: Patch, message: str, patches: Sequence[Patch]
) -> UserError:
    """Return the error for a patch that does not fit at the HEAD of ``git``.

    ``patches``: all that were to be applied; a tree takes them when it takes each.
    """
    done = git.git("apply", "--cached", "--check", "-", stdin=patch.diff, check=False)
    where = f"{patch.label} does not apply to {tree.name}"
    takers = _find_other_trees(home, tree, git, patches)
    what, it = (
        ("the whole series applies", "all of it") if len(patches) > 1 else ("it applies", "it")
    )
    other = f"{what} to {takers}" if takers else f"no other tree here would take {it}"
    found = _AT.search(done.errors)
    if not found:
        reason = last_line(done.errors) if done.returncode else message
        return UserError(f"{where}: {reason}; {other}")
    file, line = found[1], int(found[2])
    number, hunk = _hunk(patch, file, line)
    now = (git.file("HEAD", file) or b"").decode(errors="replace").splitlines()
    start = _place(now, hunk, line)
    shown = enumerate(now[start - 1 : start - 1 + (hunk.length if hunk else 10)], start)
    present = "\n".join(f"{n:6} {text}" for n, text in shown)
    detail = [f"the hunk:\n{hunk.text if hunk else ''}"]
    detail += [f"{file} has there now:\n{present or '       (the file ends before)'}"]
    detail += _state(now, hunk) if hunk else []
    return UserError(f"{where}: hunk {number} of {file}, line {line}; {other}", "\n".join(detail))


def _hunk(patch: Patch, file: str, line: int) -> tuple[int, Hunk | None]:
    """Return number and content of the hunk at a line of a file's old content."""
    for part in parse(patch.diff):
        if file in (part.old, part.new):
            for number, hunk in enumerate(part.hunks, 1):
                if hunk.start == line:
                    return number, hunk
    return 1, None


def _state(now: list[str], hunk: Hunk) -> list[str]:
    """Which of the lines that the hunk changes the file has, and which not."""
    if find_hunk(now, hunk):
        return ["what this hunk changes is there already"]
    lines = ["of the hunk's lines the file has:"]
    for line in hunk.lines:
        places = [n for n, text in enumerate(now, 1) if text.rstrip() == line[1:].rstrip()]
        if not re.search(r"\w\w", line) or (line[:1] == " " and places):
            continue
        listed = f"{', '.join(map(str, places[:3]))}{', ...' if len(places) > 3 else ''}"
        state = f"already there, line {listed}" if places else "not there"
        state = state.replace("already", "still") if line[:1] == "-" else state
        lines.append(f"{line.rstrip()}    ({state})")
    return lines


def _place(now: list[str], hunk: Hunk | None, line: int) -> int:
    """Return the line from which the file has most of the hunk's old lines, nearest to its own."""
    if hunk is None:
        return max(1, line)
    old = {text[1:] for text in hunk.lines if text[:1] in " -" and len(text) > 3}
    known = [text in old for text in now]
    starts = range(1, max(2, len(now) - hunk.length + 2))
    return max(starts, key=lambda n: (sum(known[n - 1 : n - 1 + hunk.length]), -abs(n - line)))


def _find_other_trees(home: Home, tree: Tree, git: Repository, patches: Sequence[Patch]) -> str:
    """Name the other trees here, and their bases, where all patches would fit."""
    names = []
    files = sorted({file for patch in patches for file in patch.files})
    for other in list_trees(home):
        if other.kind != "linux" or other.commit == tree.commit:
            continue
        probe = replace(git, index=git.path / "takers")
        (git.path / "takers").unlink(missing_ok=True)
        listed = probe.git("ls-tree", "-z", other.commit, "--", *files).stdout
        probe.git("update-index", "-z", "--index-info", stdin=listed)
        words = ("apply", "--cached", "-")
        if all(not probe.git(*words, stdin=p.diff, check=False).returncode for p in patches):
            names.append(f"{other.name} (base {_base_name(other)})")
    return ", ".join(names)


def _base_name(tree: Tree) -> str:
    try:
        base = base_for(tree.version)
    except MmraceError:
        return "none"
    return base.name if base.covered else "none"
