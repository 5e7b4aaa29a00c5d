# SPDX-License-Identifier: GPL-2.0-only
"""A series from outside: a directory, quilt, a mailbox, a maildir, a git range, standard input."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmrace.errors import UserError
from mmrace.git import GIT, create, last_line
from mmrace.patch import Series, in_order, read_patches
from mmrace.proc import run


def read_outside(name: str, stdin: bytes) -> Series | None:
    """Read what ``name`` stands for; None when there is nothing of that name.

    A directory (with a quilt ``series`` or without), a maildir, an mbox or patch file,
    ``REPOSITORY#A..B``, or ``-`` for ``stdin``. Raises UserError when it is damaged.
    """
    folder, _, revisions = name.partition("#")
    path = Path(name)
    if name == "-":
        return _read("standard input", _split_bytes("stdin", stdin))
    if revisions:
        return _read(name, _from_git(Path(folder), revisions))
    if (path / "series").is_file():
        return _read(name, list(read_quilt(path)), ordered=True)
    if path.is_file() or (path / "cur").is_dir():
        return _read(name, _split(path))
    return _read(name, _from_directory(path)) if path.is_dir() else None


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


def _from_directory(folder: Path) -> list[tuple[str, bytes]]:
    paths = sorted([*folder.glob("*.patch"), *folder.glob("*.diff"), *folder.glob("*.eml")])
    return [(path.name, path.read_bytes()) for path in paths]


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


def _from_git(repository: Path, revisions: str) -> list[tuple[str, bytes]]:
    """Take a range A..B of a repository, which is only read."""
    argv = [*GIT, "-C", str(repository), "format-patch", "--stdout", "--binary", "--no-signature"]
    done = run(
        [*argv, "--end-of-options", revisions], deadline=120, env={"GIT_OPTIONAL_LOCKS": "0"}
    )
    if done.returncode or ".." not in revisions:
        reason = last_line(done.errors) if done.returncode else "say A..B"
        raise UserError(f"{repository}: no range {revisions!r}: {reason}")
    return _split_bytes("range", done.stdout)


def _split_bytes(name: str, raw: bytes) -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        box = Path(scratch) / name
        box.write_bytes(raw)
        return _split(box) if raw.strip() else []


def _read(name: str, mails: list[tuple[str, bytes]], *, ordered: bool = False) -> Series:
    """Read the mails; unless their order was chosen (quilt), it is that of their n/m."""
    patches = read_patches(mails)
    if not patches:
        raise UserError(f"{name}: no patch in it")
    return Series(name, patches if ordered else in_order(name, patches), outside=True)
