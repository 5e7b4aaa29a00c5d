# SPDX-License-Identifier: GPL-2.0-only
"""Unified diffs: their files and hunks, and the same change at another level or reversed.

The format is that of ``git diff`` (git-diff(1), "Generating patch text") and of ``diff -u``. What
a hunk holds is counted by its head, as git and patch(1) count it, so that text below a diff is no
part of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mmrace.errors import UserError

# A diff begins here; CR for a diff that came by way of Windows.
DIFF = re.compile(rb"^(diff --git \S|--- \S[^\n]*\n\+\+\+ \S)", re.M)
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$", re.S)
_NAMES = re.compile(rb"^diff --git (\S+) (\S+)$")
_OLD_NAME = (b"rename from ", b"copy from ")
_NEW_NAME = (b"rename to ", b"copy to ")
_NONE = b"/dev/null"
_OPPOSITE = {
    b"new file mode": b"deleted file mode",
    b"deleted file mode": b"new file mode",
    b"old mode": b"new mode",
    b"new mode": b"old mode",
    b"rename from": b"rename to",
    b"rename to": b"rename from",
    b"--- ": b"+++ ",
    b"+++ ": b"--- ",
}
_LINES = b"diff |old mode|new mode|simil|rename from|rename to|new file|deleted|index|--- |+++ "
_ORDER = _LINES.split(b"|")


@dataclass(frozen=True)
class Hunk:
    """One hunk: where it begins in the old file, git's note of the function, its lines.

    ``head`` is the line that counts it; ``lines`` keep their first character: space, plus, minus or
    backslash.
    """

    start: int
    length: int
    function: str
    head: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The hunk as the diff has it."""
        return "\n".join([self.head, *self.lines])


@dataclass(frozen=True)
class FileDiff:
    """What a diff does to one file; a path is "" where the file does not exist."""

    old: str
    new: str
    hunks: tuple[Hunk, ...]
    binary: bool = False

    @property
    def path(self) -> str:
        """The file's name after the change, or before it when it is deleted."""
        return self.new or self.old


def parse(diff: bytes) -> tuple[FileDiff, ...]:
    """Read the files of a diff at level 1; lines that are no part of it are passed over."""
    files: list[FileDiff] = []
    for head, hunks, binary in _sections(diff):
        names = _names(head)
        if names:
            files.append(FileDiff(*names, tuple(map(_hunk, hunks)), binary))
    return tuple(files)


def unquoted_crlf(diff: bytes) -> bytes:
    """Take the CR from the ends of lines when it came with the transport.

    Where the files themselves have CRLF, git writes the heads of a diff without a CR.
    """
    if re.search(rb"^(---|\+\+\+) [^\n]*\r$", diff, re.M):
        return diff.replace(b"\r\n", b"\n")
    return diff


def at_top(diff: bytes) -> bool:
    """Whether the diff names files without any directory, as level 0 does at the top of a tree."""
    return bool(re.search(rb"^(---|\+\+\+) (?!/dev/null)[^/\s]+(\s|$)", diff, re.M))


def at_level(diff: bytes, level: int) -> bytes:
    """Return a diff for ``patch -pLEVEL`` as one for level 1."""
    if level == 1:
        return diff
    done = []
    for head, hunks, _ in _sections(diff):
        done += [_renamed(line, level) for line in head]
        done += [line for hunk in hunks for line in hunk]
    return b"\n".join(done) + b"\n"


def reverse(name: str, diff: bytes) -> bytes:
    """Return the diff that takes the change out; UserError for a binary one."""
    done: list[bytes] = []
    for head, hunks, binary in _sections(diff):
        if binary or any(line.startswith(b"copy ") for line in head):
            raise UserError(
                f"{name}: copies and binary changes cannot be reversed; give the inverse"
            )
        done += _reversed_head(head)
        for hunk in hunks:
            done += _reversed_hunk(hunk)
    return b"\n".join(done) + b"\n"


def blobs(diff: bytes) -> dict[str, tuple[str, str]]:
    """Return, for each file of a git diff, the ids of its content before and after."""
    found = {}
    for head, _, _ in _sections(diff):
        names = _names(head)
        index = next((line for line in head if line.startswith(b"index ")), b"")
        ids = re.match(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)", index)
        if names and ids:
            found[names[1] or names[0]] = (ids[1].decode(), ids[2].decode())
    return found


def _sections(diff: bytes) -> Iterator[tuple[list[bytes], list[list[bytes]], bool]]:
    """Yield head lines, hunks and whether it is binary, file by file."""
    lines = diff.split(b"\n")
    at = 0
    while at < len(lines):
        if not _begins(lines, at):
            at += 1
            continue
        head = [lines[at]]
        at += 1
        while at < len(lines) and not _HUNK.match(lines[at]) and not _git_head(lines[at]):
            head.append(lines[at])
            at += 1
            if head[-1].startswith(b"+++ "):
                break
        binary = any(line.startswith((b"GIT binary patch", b"Binary files ")) for line in head)
        hunks = []
        while at < len(lines) and (found := _HUNK.match(lines[at])):
            end = _hunk_end(lines, at, found)
            hunks.append(lines[at:end])
            at = end
        if not binary and not hunks:
            head = [line for line in head if line.strip()]
        yield head, hunks, binary


def _git_head(line: bytes) -> bool:
    return line.startswith(b"diff --git ")


def _begins(lines: list[bytes], at: int) -> bool:
    if _git_head(lines[at]):
        return True
    below = lines[at + 1] if at + 1 < len(lines) else b""
    return lines[at].startswith(b"--- ") and below.startswith(b"+++ ")


def _hunk_end(lines: list[bytes], at: int, head: re.Match[bytes]) -> int:
    """Return the line after a hunk, as its head counts."""
    old, new = (int(head[n]) if head[n] else 1 for n in (2, 4))
    at += 1
    while at < len(lines) and (old > 0 or new > 0):
        kind = lines[at][:1]
        old -= kind in (b" ", b"-", b"")
        new -= kind in (b" ", b"+", b"")
        if kind not in (b" ", b"-", b"+", b"\\", b""):
            break
        at += 1
    return at + (at < len(lines) and lines[at].startswith(b"\\"))


def _hunk(lines: list[bytes]) -> Hunk:
    head = _HUNK.match(lines[0])
    assert head  # noqa: S101
    text = tuple((line or b" ").decode(errors="replace") for line in lines[1:])
    length = int(head[2]) if head[2] else 1
    function = head[5].decode(errors="replace").strip()
    return Hunk(int(head[1]), length, function, lines[0].decode(errors="replace").rstrip(), text)


def _names(head: list[bytes]) -> tuple[str, str] | None:
    """Old and new path at level 1; None when the head names none."""
    old = new = None
    for line in head:
        if line.startswith(b"--- "):
            old = _path(line[4:])
        elif line.startswith(b"+++ "):
            new = _path(line[4:])
    if old and new and not _git_head(head[0]):
        old = new  # a/x~name or x.orig: a name for the old content
    if old is None or new is None:
        found = _NAMES.match(head[0].rstrip(b"\r"))
        if not found:
            return None
        old, new = _path(found[1]), _path(found[2])
        old = "" if any(line.startswith(b"new file mode") for line in head) else old
        new = "" if any(line.startswith(b"deleted file mode") for line in head) else new
    return old, new


def _path(field: bytes) -> str:
    name = field.rstrip(b"\r").split(b"\t")[0].rstrip()
    if name == _NONE:
        return ""
    # As git does, a name without a directory is taken whole.
    return (name.partition(b"/")[2] or name).decode(errors="surrogateescape")


def _renamed(line: bytes, level: int) -> bytes:
    if line.startswith((b"--- ", b"+++ ")):
        prefix = b"a/" if line.startswith(b"-") else b"b/"
        name = line[4:]
        return line if name.startswith(_NONE) else line[:4] + prefix + _stripped(name, level)
    if names := _NAMES.match(line):
        old, new = (_stripped(names[n], level) for n in (1, 2))
        return b"diff --git a/%s b/%s" % (old, new)
    if line.startswith((*_OLD_NAME, *_NEW_NAME)) and level > 1:
        verb, _, name = line.rpartition(b" ")
        return verb + b" " + _stripped(name, level - 1)
    return line


def _stripped(name: bytes, level: int) -> bytes:
    return re.split(rb"/+", name, maxsplit=level)[-1] if level else name


def _reversed_head(head: list[bytes]) -> list[bytes]:
    done = []
    for line in head:
        if names := _NAMES.match(line):
            done.append(b"diff --git %s %s" % (names[2], names[1]))
        elif ids := re.match(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)(.*)$", line):
            done.append(b"index %s..%s%s" % (ids[2], ids[1], ids[3]))
        else:
            key = next((key for key in _OPPOSITE if line.startswith(key)), b"")
            done.append(_OPPOSITE.get(key, b"") + line[len(key) :])
    return sorted(done, key=_rank)


def _rank(line: bytes) -> int:
    """Where git has a head's line."""
    return next((n for n, start in enumerate(_ORDER) if line.startswith(start)), 0)


def _reversed_hunk(lines: list[bytes]) -> list[bytes]:
    head = _HUNK.match(lines[0])
    assert head  # noqa: S101
    old, new = (head[n] + (b"," + head[n + 1] if head[n + 1] else b"") for n in (1, 3))
    done = [b"@@ -%s +%s @@%s" % (new, old, head[5])]
    taken: list[bytes] = []
    given: list[bytes] = []
    last = done
    for line in lines[1:]:
        kind = line[:1]
        if kind == b"+":
            last = taken
            taken.append(b"-" + line[1:])
        elif kind == b"-":
            last = given
            given.append(b"+" + line[1:])
        elif kind == b"\\":
            last.append(line)
        else:
            done += [*taken, *given, line]
            taken, given, last = [], [], done
    return [*done, *taken, *given]
