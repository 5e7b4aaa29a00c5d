# SPDX-License-Identifier: GPL-2.0-only
"""How git reads one mail: author, date, message and diff; what is missing gets a default."""

import email.header
import email.utils
import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError

from mmrace.errors import UserError
from mmrace.patching.attachment import parse
from mmrace.patching.diff import DIFF, unquoted_crlf
from mmrace.patching.mailbox import is_mail, stem
from mmrace.patching.text import decode_as_git
from mmrace.sources.git import Repository, last_line

_MADE_UP = {
    "Author": "mmrace",
    "Email": "mmrace@localhost",
    "Date": "Sat, 1 Jan 2000 00:00:00 +0000",
}
_IN_WORDS = {"Author": "author", "Email": "address", "Subject": "subject", "Date": "date"}
# Mails name an encoding and use a larger one: https://encoding.spec.whatwg.org/#names-and-labels
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932"}
_LARGER |= {"euc-kr": "cp949", "iso-8859-1": "cp1252", "us-ascii": "utf-8"}


@dataclass(frozen=True)
class Info:
    """A mail as ``git mailinfo`` reads it; ``notes`` say what was made up or read otherwise."""

    author: str
    email: str
    subject: str
    date: str
    message: str
    diff: bytes
    notes: tuple[str, ...]


def read_info(git: Repository, name: str, raw: bytes) -> Info | None:
    """Read a mail, or a diff with or without a text above it; None when it has no diff.

    ``git`` lends its directory for git's files. Raises UserError for what is neither.
    """
    headless = not is_mail(raw)
    raw = _as_mail(name, raw) if headless else raw
    message, diff = git.path / "message", git.path / "diff"
    words = ("mailinfo", "--scissors", "--quoted-cr=nowarn")
    done = git.git(*words, "-u", message, diff, stdin=raw, check=False)
    notes = []
    fields = _fields(done.stdout)
    if "cannot convert from" in done.errors:
        done = git.git(*words, "-n", message, diff, stdin=raw, check=False)
        charset = str(parse(raw).get_content_charset() or "").lower()
        ascii_only = {key: value for key, value in _fields(done.stdout).items() if value.isascii()}
        fields = _fields_otherwise(raw) | ascii_only
        message.write_bytes(_text_otherwise(message.read_bytes(), charset).encode())
        notes.append(
            f"its text is not all in {charset or 'the encoding it names'}; read as it goes"
        )
    if done.returncode:
        raise UserError(f"{name}: not a readable mail: {last_line(done.errors)}; give the raw mail")
    content = unquoted_crlf(diff.read_bytes())
    found = DIFF.search(content)
    if not found:
        return None
    text = decode_as_git(message.read_bytes())
    if text.encode() != message.read_bytes():
        notes.append("its text is not UTF-8; read as Latin-1, as git does")
    absent = [key for key in _IN_WORDS if not fields.get(key)]
    if absent:
        unsaid = {"Email"} if "Author" in absent else set()
        listed = ", ".join(_IN_WORDS[key] for key in absent if key not in unsaid)
        notes.append(f"{'the diff' if headless else 'the mail'} has no {listed}; made up")
    fields = {**_MADE_UP, "Subject": stem(name.rpartition("/")[2]), **fields}
    return Info(
        author=fields["Author"],
        email=fields["Email"],
        subject=fields["Subject"],
        date=fields["Date"],
        message=text.strip(),
        diff=content[found.start() :],
        notes=tuple(notes),
    )


def _as_mail(name: str, raw: bytes) -> bytes:
    """Put a diff, with or without a text above it, below an empty head."""
    found = DIFF.search(raw)
    if not found:
        raise UserError(f"{name}: neither a mail nor a diff; give a patch")
    return b"MIME-Version: 1.0\n\n" + raw[: found.start()] + b"---\n" + raw[found.start() :]


def _fields(output: bytes) -> dict[str, str]:
    """What git has found, without what it would not take as an author's date."""
    lines = [decode_as_git(line).partition(": ") for line in output.split(b"\n")]
    found = {key: value.strip() for key, _, value in lines if value.strip()}
    return {key: value for key, value in found.items() if key != "Date" or _is_date(value)}


def _is_date(text: str) -> bool:
    if email.utils.parsedate_tz(text):
        return True
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", text))


def _fields_otherwise(raw: bytes) -> dict[str, str]:
    """The head of a mail in an encoding that git does not know, or that it is not in."""
    head = parse(raw)
    values = {key.lower(): _header(str(value)) for key, value in head.raw_items()}
    name, address = email.utils.parseaddr(values.get("from", ""))
    subject = re.sub(r"^(\[[^\]]*\]\s*)+", "", values.get("subject", ""))
    date = values.get("date", "")
    found = {"Author": name or address, "Email": address, "Subject": subject, "Date": date}
    return {key: value for key, value in found.items() if key != "Date" or _is_date(value)}


def _header(value: str) -> str:
    parts = []
    try:
        for text, charset in email.header.decode_header(value):
            raw = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
            parts.append(_text_otherwise(raw, (charset or "").lower()))
    except HeaderParseError:
        parts = [value]
    return " ".join("".join(parts).split())


def _text_otherwise(raw: bytes, charset: str) -> str:
    """Decode by the larger encoding of a name, or as git does."""
    try:
        return raw.decode(_LARGER.get(charset, charset))
    except (LookupError, ValueError):
        return decode_as_git(raw)
