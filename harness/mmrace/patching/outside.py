# SPDX-License-Identifier: GPL-2.0-only
"""A series from outside: mails (files, standard input, a server), quilt, a directory, git."""

import re
from dataclasses import replace
from pathlib import Path

from mmrace.errors import UserError
from mmrace.patching.inbox import fetch_series, is_address, mail_patches, thread_series
from mmrace.patching.mailbox import is_mail, mails_at, split
from mmrace.patching.patch import Series, in_order, read_listed, read_patches
from mmrace.patching.quilt import find_list, read_quilt
from mmrace.patching.revrange import range_mails
from mmrace.patching.thread import read_mail

_REVISION = re.compile(r"v(\d+)")


def read_outside(name: str, stdin: bytes) -> Series | None:
    """Read the series that ``name`` denotes; None when nothing has that name.

    A directory (with a quilt ``series`` or without), a maildir, an mbox or patch file, ``-`` for
    ``stdin``, a message-id or its URL (any of these with ``#vN`` for one revision of several),
    ``MAIL#FILE`` for one of several attachments, ``REPOSITORY#A..B``, ``REPOSITORY#COMMIT``,
    ``REPOSITORY#BRANCH``, and ``A..B``, a commit or a branch of the repository here.
    Raises UserError when it is damaged.
    """
    if name == "-":
        return _of_mails("standard input", split("stdin", stdin))
    path = Path(name)
    found = _of_path(name, path) if path.exists() else None
    if found:
        return replace(found, name=_absolute(found.name))
    bare, mark, chosen = name.rpartition("#")
    numbered = _REVISION.fullmatch(chosen) if mark else None
    revision = int(numbered[1]) if numbered else None
    if is_address(bare if revision else name):
        return fetch_series(bare if revision else name, revision)
    path = Path(bare)
    if mark and (path.is_file() or (revision and path.is_dir() and not _is_repository(path))):
        part = _of_mails(bare, mails_at(path), revision, "" if revision else chosen)
        return replace(part, name=_absolute(part.name if revision else name))
    return _of_git(name)


def _of_path(name: str, path: Path) -> Series | None:
    if path.is_dir() and (listed := find_list(path)):
        return _of_list(name, listed)
    if path.is_file() or (path.is_dir() and not _is_repository(path)):
        return _of_mails(name, mails_at(path))
    return None


def _absolute(name: str) -> str:
    """A name that means the same in any directory."""
    return str(Path(name).absolute())


def _is_repository(path: Path) -> bool:
    return (path / ".git").exists() or (path / "objects").is_dir()


def _of_list(name: str, listed: Path) -> Series:
    patches, notes = read_quilt(listed)
    return Series(name, read_listed(patches), outside=True, notes=notes)


def _of_git(name: str) -> Series | None:
    folder, mark, revisions = name.partition("#")
    try:
        repository = Path(folder or ".") if mark else Path()
        mails, note, commits = range_mails(repository, revisions if mark else name)
    except UserError:
        if mark or ".." in name:
            raise
        return None
    patches = in_order(name, read_patches(split("range", mails)))
    if not patches:
        raise UserError(f"{name}: no patch in it; name a mail or a directory that has one")
    pinned = f"{repository.absolute()}#{commits}"
    return Series(pinned, patches, outside=True, notes=(note,) if note else ())


def _of_mails(
    name: str, raw: list[tuple[str, bytes]], revision: int | None = None, attachment: str = ""
) -> Series:
    """Mails with ids are a thread, and b4's; others are patches in the order of their n/m."""
    mails = [read_mail(*mail) for mail in raw]
    if mails and all(mail.id for mail in mails):
        return thread_series(name, mails, revision, attachment)
    if revision:
        raise UserError(f"{name}: mails without Message-ID have no revisions; omit #vN")
    patches = tuple(
        patch for mail in mails if mail.diff for patch in mail_patches(mail, attachment)
    )
    if not patches:
        known = not raw or any(is_mail(text) for _, text in raw)
        raise UserError(
            f"{name}: {'no patch in it' if known else 'neither a mail nor a diff'}; give a patch"
        )
    return Series(name, in_order(name, patches), outside=True)
