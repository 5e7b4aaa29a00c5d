# SPDX-License-Identifier: GPL-2.0-only
"""A series from outside: mails (files, standard input, a server), quilt, a directory, git."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmrace.errors import UserError
from mmrace.patching.inbox import fetch_series, is_address, thread_series
from mmrace.patching.patch import Series, in_order, read_patches
from mmrace.patching.revrange import range_mails
from mmrace.patching.thread import read_mail
from mmrace.sources.git import create, last_line

_REVISION = re.compile(r"^(.*)#v(\d+)$", re.S)


def read_outside(name: str, stdin: bytes) -> Series | None:
    """Read what ``name`` stands for; None when there is nothing of that name.

    A directory (with a quilt ``series`` or without), a maildir, an mbox or patch file, ``-`` for
    ``stdin``, a message-id or its URL (any of these with ``#vN`` for one revision of several),
    ``REPOSITORY#A..B``, ``REPOSITORY#BRANCH``, and ``A..B`` or a branch of the repository here.
    Raises UserError when it is damaged.
    """
    path = Path(name)
    if name == "-":
        return _of_mails("standard input", _split_bytes("stdin", stdin), None)
    if (path / "series").is_file():
        return Series(name, read_patches(read_quilt(path)), outside=True)
    if path.is_file() or path.is_dir():
        return _of_mails(name, _mails_at(path), None)
    pinned = _REVISION.match(name)
    bare, revision = (pinned[1], int(pinned[2])) if pinned else (name, None)
    if is_address(bare):
        return fetch_series(bare, revision)
    if revision and (Path(bare).is_file() or (Path(bare) / "cur").is_dir()):
        return _of_mails(bare, _mails_at(Path(bare)), revision)
    return _of_git(name)


def _of_git(name: str) -> Series | None:
    folder, mark, revisions = name.partition("#")
    try:
        mails, note = (
            range_mails(Path(folder or "."), revisions) if mark else range_mails(Path(), name)
        )
    except UserError:
        if mark or ".." in name:
            raise
        return None
    patches = in_order(name, read_patches(_split_bytes("range", mails)))
    if not patches:
        raise UserError(f"{name}: no patch in it")
    return Series(name, patches, outside=True, notes=(note,) if note else ())


def read_quilt(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read what ``series`` lists; a line is a path and perhaps options, # starts a comment."""
    for line in (folder / "series").read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise UserError(f"{folder}/series: {line.strip()}: only patches of level -p1 are read")
        path = folder / words[0]
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{folder}/series: {words[0]} is outside of the directory")
        try:
            yield words[0], path.read_bytes()
        except OSError as error:
            raise UserError(f"{folder}/series lists {words[0]}: {error.strerror}") from error


def _mails_at(path: Path) -> list[tuple[str, bytes]]:
    if path.is_file() or (path / "cur").is_dir():
        return _split(path)
    paths = sorted([*path.glob("*.patch"), *path.glob("*.diff"), *path.glob("*.eml")])
    return [(found.name, found.read_bytes()) for found in paths]


def _split(path: Path) -> list[tuple[str, bytes]]:
    """Take a mailbox, a maildir or a single patch apart into its mails."""
    if path.is_file():
        raw = path.read_bytes()
        if not re.match(rb"(From |[A-Za-z-]+: )", raw):
            return [(path.name, raw)]
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        git = create(Path(scratch) / "git")
        out = Path(scratch) / "mails"
        out.mkdir()
        done = git.git("mailsplit", "-b", f"-o{out}", "--", path.absolute(), check=False)
        if done.returncode:
            raise UserError(f"{path}: no mailbox: {last_line(done.errors)}")
        mails = [mail.read_bytes() for mail in sorted(out.iterdir())]
    if len(mails) == 1:
        return [(path.name, mails[0])]
    return [(f"{path.name}#{number}", raw) for number, raw in enumerate(mails, 1)]


def _split_bytes(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        box = Path(scratch) / name
        box.write_bytes(raw)
        return _split(box) if raw.strip() else []


def _of_mails(name: str, raw: list[tuple[str, bytes]], revision: int | None) -> Series:
    """Mails with ids are a thread, and b4's; others are patches in the order of their n/m."""
    mails = [read_mail(*mail) for mail in raw]
    if mails and all(mail.id for mail in mails):
        return thread_series(name, mails, revision)
    if revision:
        raise UserError(f"{name}: mails without Message-ID are no thread with revisions")
    patches = read_patches(raw)
    if not patches:
        raise UserError(f"{name}: no patch in it")
    return Series(name, in_order(name, patches), outside=True)
