# SPDX-License-Identifier: GPL-2.0-only
"""One patch, and how it is read from a mail or a plain diff.

Whatever form a patch came in, ``Patch.mail`` is the same, so that it makes the same commit.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mmrace.definitions.base import Mark
from mmrace.errors import UserError
from mmrace.patching.diff import at_level, at_top, reverse
from mmrace.patching.mailinfo import read_info
from mmrace.patching.quilt import Listed
from mmrace.patching.thread import place
from mmrace.sources.git import Repository, create, last_line

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
    not. ``notes`` say what had to be made up or guessed about the mail.
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
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name, and where the patch is in its series."""
        return f"{self.name} (patch {self.number}/{self.total})" if self.total > 1 else self.name

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
    return read_listed(Listed(name, raw) for name, raw in named)


def read_listed(listed: Iterable[Listed]) -> tuple[Patch, ...]:
    """Read the patches of a quilt series; as ``read_patches`` otherwise."""
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        git = create(Path(scratch) / "git")
        patches = [_read(git, one) for one in listed]
    return tuple(patch for patch in patches if patch)


def with_diff(git: Repository, patch: Patch, diff: bytes) -> Patch:
    """Return the patch with another form of its diff; errors as ``read_patches``."""
    return replace(patch, diff=diff, files=_files(git, patch.name, diff))


def _read(git: Repository, listed: Listed) -> Patch | None:
    name, raw = listed.name, listed.raw
    info = read_info(git, name, raw)
    if info is None:
        return None
    diff = at_level(info.diff, listed.level)
    diff = reverse(name, diff) if listed.backwards else diff
    try:
        files = _files(git, name, diff)
    except UserError:
        # "--- Makefile" has no directory to strip: a diff of level 0.
        diff = at_level(info.diff, 0)
        if listed.level != 1 or not at_top(info.diff):
            raise
        files = _files(git, name, diff)
    at = place(raw)
    return Patch(
        name=name,
        subject=info.subject,
        author=f"{info.author} <{info.email}>",
        date=info.date,
        message=info.message,
        diff=diff,
        files=files,
        revision=at.revision,
        number=at.number,
        total=at.total,
        notes=info.notes,
    )


def in_order(name: str, patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
    """Put the patches of one series in order; UserError when one is missing or there twice.

    One patch alone, or patches of which some have no number, are taken as they are.
    """
    revisions = sorted({patch.revision for patch in patches})
    if len(revisions) > 1:
        listed = " and ".join(f"v{revision}" for revision in revisions)
        raise UserError(f"{name}: holds revisions {listed} of a series; give one of them")
    totals = {patch.total for patch in patches}
    if len(patches) == 1:
        return tuple(replace(patch, notes=(*alone(patch), *patch.notes)) for patch in patches)
    if len(totals) > 1 or totals == {0}:
        return patches
    total = totals.pop()
    numbers = [patch.number for patch in patches]
    for number in range(1, total + 1):
        if numbers.count(number) != 1:
            state = "twice in it" if number in numbers else "missing; without it, name each patch"
            raise UserError(f"{name}: patch {number}/{total} is {state}; give the whole series")
    return tuple(sorted(patches, key=lambda patch: patch.number))


def alone(patch: Patch) -> tuple[str, ...]:
    """What to say of a patch without the rest of its series."""
    if patch.total < 2:
        return ()
    return (f"patch {patch.number}/{patch.total} of its series, taken alone",)


def _files(git: Repository, name: str, diff: bytes) -> tuple[str, ...]:
    """Paths as git itself reads them out of the diff, so that no other reading can differ."""
    done = git.git("apply", "--numstat", "-z", "-", stdin=diff, check=False)
    if done.returncode:
        raise UserError(
            f"{name}: a damaged patch: {last_line(done.errors)}; save the raw mail again"
        )
    listed = [entry.split(b"\t", 2)[-1] for entry in done.stdout.split(b"\0") if entry]
    raw = dict.fromkeys(listed + _OTHER_NAME.findall(diff))
    files = tuple(path.decode(errors="surrogateescape") for path in raw)
    for path in files:
        if path.startswith("/") or {"..", ".git"} & set(path.split("/")):
            raise UserError(
                f"{name}: would write {path} outside of the tree; change its paths, or -pN"
            )
    if special := _MODE.search(diff):
        kind = {b"120000": "a symbolic link", b"160000": "a submodule"}.get(special[1])
        raise UserError(f"{name}: creates or changes {kind or 'a special file'}; leave it out")
    return files
