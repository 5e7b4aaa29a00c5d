# SPDX-License-Identifier: GPL-2.0-only
"""One patch, and how it is read from a mail or a plain diff.

Whatever form a patch came in, ``Patch.mail`` is the same, so that it makes the same commit.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmrace.definitions.base import Mark
from mmrace.errors import UserError
from mmrace.patching.thread import place
from mmrace.sources.git import Repository, create, last_line

_HEADER = re.compile(rb"^(From|Subject|Date|Message-I[dD]|MIME-Version|Received): ", re.M)
_DIFF = re.compile(rb"^(diff --git |--- \S)", re.M)
_OTHER_NAME = re.compile(rb"^(?:rename|copy) from (.+)$", re.M)
# Regular files only: what else git can put in a tree is a way out of it.
_MODE = re.compile(
    rb"^(?:new file mode|new mode|deleted file mode|index [0-9a-f]+\.\.[0-9a-f]+) "
    rb"(?!100(?:644|755)\b)(\d+)",
    re.M,
)


@dataclass(frozen=True)
class Patch:
    """One change: ``name`` for people, ``files`` it touches (relative to the tree).

    ``number`` of ``total`` and ``revision`` as the mail's ``[PATCH v2 1/3]`` said; 0 when it did
    not.
    """

    name: str
    subject: str
    author: str
    date: str
    message: str
    diff: bytes
    files: tuple[str, ...]
    revision: int = 1
    number: int = 0
    total: int = 0

    @property
    def mail(self) -> bytes:
        """The patch as ``git am`` takes it."""
        head = (
            f"From: {self.author}\nSubject: [PATCH] {self.subject}\nDate: {self.date}\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
            f"Content-Transfer-Encoding: 8bit\n\n{self.message}\n---\n"
        )
        return head.encode() + self.diff

    @property
    def group(self) -> str:
        """The race whose patch it is, by its directory; empty for a patch from outside."""
        return str(PurePosixPath(self.name).parent) if "/" in self.name else ""


@dataclass(frozen=True)
class Series:
    """An ordered list of patches.

    ``outside``: not from mmrace's own patches/, so not to be trusted. ``opposite`` are patches
    that only fit where this series' fix is already there (the base's ``vulnerable``); ``marks``
    show a race's fix in a tree's text. ``notes`` are for people. ``base_commit`` is what the series
    says that it was made on, ``needs`` the patch ids of what it says goes before. ``borrowed``
    names the base whose patches they are when none covers the tree; ``instead`` is what the next
    base has, for races of which they do not fit.
    """

    name: str
    patches: tuple[Patch, ...]
    outside: bool
    opposite: tuple[Patch, ...] = ()
    notes: tuple[str, ...] = ()
    base_commit: str = ""
    needs: tuple[str, ...] = ()
    marks: tuple[tuple[str, tuple[Mark, ...]], ...] = ()
    borrowed: str = ""
    instead: tuple["Series", ...] = ()


def read_patches(named: Iterable[tuple[str, bytes]]) -> tuple[Patch, ...]:
    """Read mails and plain diffs; mails without a diff (cover letters) are left out.

    Raises UserError when one is damaged, or touches anything outside of the tree.
    """
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        git = create(Path(scratch) / "git")
        patches = [_read(git, name, raw) for name, raw in named]
    return tuple(patch for patch in patches if patch)


def _read(git: Repository, name: str, raw: bytes) -> Patch | None:
    raw = raw.replace(b"\r\n", b"\n") if b"\r\n\r\n" in raw else raw
    raw = raw if _is_mail(raw) else _as_mail(name, raw)
    message, diff = git.path / "message", git.path / "diff"
    done = git.git("mailinfo", "--encoding=UTF-8", message, diff, stdin=raw, check=False)
    if done.returncode:
        raise UserError(f"{name}: not a readable mail: {last_line(done.errors)}")
    content = diff.read_bytes()
    found = _DIFF.search(content)
    if not found:
        return None
    content = content[found.start() :]
    try:
        text = message.read_bytes().decode().strip()
        info = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if line)
    except ValueError as error:
        raise UserError(f"{name}: its text is not in the encoding that the mail names") from error
    for key in ("Author", "Email", "Subject", "Date"):
        if key not in info:
            raise UserError(f"{name}: the mail has no {key}")
    author = f"{info['Author']} <{info['Email']}>"
    files = _files(git, name, content)
    at = place(raw)
    head = (name, info["Subject"], author, info["Date"], text, content, files)
    return Patch(*head, at.revision, at.number, at.total)


def in_order(name: str, patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
    """Put the patches of one series in order; UserError when one is missing or there twice.

    One patch alone, or patches of which some have no number, are taken as they are.
    """
    revisions = sorted({patch.revision for patch in patches})
    if len(revisions) > 1:
        listed = " and ".join(f"v{revision}" for revision in revisions)
        raise UserError(f"{name}: holds revisions {listed} of a series; give one of them")
    totals = {patch.total for patch in patches}
    if len(patches) == 1 or len(totals) > 1 or totals == {0}:
        return patches
    total = totals.pop()
    numbers = [patch.number for patch in patches]
    for number in range(1, total + 1):
        if numbers.count(number) != 1:
            state = "twice in it" if number in numbers else "missing"
            raise UserError(f"{name}: patch {number}/{total} is {state}")
    return tuple(sorted(patches, key=lambda patch: patch.number))


def _is_mail(raw: bytes) -> bool:
    found = _DIFF.search(raw)
    return bool(_HEADER.search(raw[: found.start()] if found else raw))


def _as_mail(name: str, raw: bytes) -> bytes:
    """Give a plain diff, with or without a description above it, the head of a mail."""
    found = _DIFF.search(raw)
    if not found:
        raise UserError(f"{name}: neither a mail nor a diff")
    head = f"From: mmrace <mmrace@localhost>\nSubject: {PurePosixPath(name).stem}\n"
    head += "Date: Sat, 1 Jan 2000 00:00:00 +0000\n\n"
    return head.encode() + raw[: found.start()] + b"---\n" + raw[found.start() :]


def _files(git: Repository, name: str, diff: bytes) -> tuple[str, ...]:
    """Paths as git itself reads them out of the diff, so that no other reading can differ."""
    done = git.git("apply", "--numstat", "-z", "-", stdin=diff, check=False)
    if done.returncode:
        raise UserError(f"{name}: a damaged patch: {last_line(done.errors)}")
    listed = [entry.split(b"\t", 2)[-1] for entry in done.stdout.split(b"\0") if entry]
    raw = dict.fromkeys(listed + _OTHER_NAME.findall(diff))
    files = tuple(path.decode(errors="surrogateescape") for path in raw)
    for path in files:
        if path.startswith("/") or {"..", ".git"} & set(path.split("/")):
            raise UserError(f"{name}: would write {path}, which is outside of the tree")
    if special := _MODE.search(diff):
        kind = {b"120000": "a symbolic link", b"160000": "a submodule"}.get(special[1])
        raise UserError(f"{name}: makes or changes {kind or 'a special file'}; files only, please")
    return files
