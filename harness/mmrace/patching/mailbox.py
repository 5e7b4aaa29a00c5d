# SPDX-License-Identifier: GPL-2.0-only
"""Files, directories and standard input as mails and diffs, one after the other.

Compressed or not, with a byte order mark or not: ``.gz``, ``.xz``, ``.bz2`` and ``.zst`` are known
by their content.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmrace.compressed import expand
from mmrace.errors import UserError
from mmrace.patching.attachment import parse
from mmrace.patching.gitlog import is_log, log_mails
from mmrace.patching.text import plain_text
from mmrace.sources.git import create, last_line

Named = tuple[str, bytes]
_SUFFIX = re.compile(r"\.(patch|diff|eml|mbox|mbx|txt)(\.(gz|xz|bz2|zst))?$")
_PATCH = re.compile(r"\.(patch|diff|eml|mbox|mbx)(\.(gz|xz|bz2|zst))?$")
_MBOXRD = b"From mboxrd@"  # public-inbox's; a body's "From " is ">From " there


def is_mail(raw: bytes) -> bool:
    """Whether a text begins with the head of a mail, and is no note that looks like one."""
    if raw.startswith(b"From ") and b"\n" in raw:
        raw = raw.partition(b"\n")[2]
    head = re.match(rb"(?:[!-9;-~]+:(?: |\t|\n)[^\n]*\n(?:[ \t][^\n]*\n)*)+", raw)
    return bool(head and re.search(rb"^(From|Subject):", head[0], re.M | re.I))


def mails_at(path: Path) -> list[Named]:
    """Read a file, a maildir, or the patches and mails of a directory in the order of names.

    Raises UserError when one is damaged.
    """
    if path.is_file():
        return split(path.name, _read(path))
    if (path / "cur").is_dir():
        found = [*path.glob("cur/*"), *path.glob("new/*")]
        paths = sorted(found, key=lambda found: found.name)
        return _name_mails(path.name, [plain_text(expand(one.name, _read(one))) for one in paths])
    paths = sorted(one for one in path.iterdir() if one.is_file() and _PATCH.search(one.name))
    return [mail for one in paths for mail in split(one.name, _read(one))]


def split(name: str, raw: bytes) -> list[Named]:
    """Take a mailbox, a ``git log -p``, a mail or a diff apart into its mails."""
    raw = plain_text(expand(name, raw)).lstrip(b"\n")
    if is_log(raw):
        return _name_mails(name, log_mails(name, raw))
    if not is_mail(raw):
        return [(name, raw)] if raw.strip() else []
    return _name_mails(name, list(_whole(_mailsplit(name, raw))))


def stem(name: str) -> str:
    """Return a file's name without what says that it is a patch."""
    return _SUFFIX.sub("", name) or name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a patch or a mailbox") from error


def _name_mails(name: str, mails: list[bytes]) -> list[Named]:
    if len(mails) == 1:
        return [(name, mails[0])]
    return [(f"{name}#{number}", raw) for number, raw in enumerate(mails, 1)]


def _mailsplit(name: str, raw: bytes) -> list[bytes]:
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        git = create(Path(scratch) / "git")
        out, box = Path(scratch) / "mails", Path(scratch) / "box"
        out.mkdir()
        box.write_bytes(raw)
        words = ["-b", "--keep-cr", *(["--mboxrd"] if raw.startswith(_MBOXRD) else [])]
        done = git.git("mailsplit", *words, f"-o{out}", "--", box, check=False)
        if done.returncode:
            raise UserError(
                f"{name}: not a valid mbox: {last_line(done.errors)}; save the raw mail again"
            )
        return [mail.read_bytes() for mail in sorted(out.iterdir())]


def _whole(pieces: list[bytes]) -> Iterator[bytes]:
    """Join mails that were split within an attached patch, which begins with a "From " line too."""
    pending = b""
    for number, piece in enumerate(pieces):
        mail = pending + piece
        more = number + 1 < len(pieces)
        boundary = parse(mail).get_boundary()
        end = f"--{boundary}--".encode() if boundary else b""
        if more and end and end not in mail and any(end in later for later in pieces[number + 1 :]):
            pending = mail
            continue
        pending = b""
        yield mail
