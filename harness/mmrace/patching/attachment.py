# SPDX-License-Identifier: GPL-2.0-only
"""Where the patch is in a mail of several parts: in its text, or attached.

``git am`` takes all parts of such a mail as one text. Here the part with the diff is taken alone,
so that a patch which was attached with its own head keeps its author, and a second attachment is
not applied by accident.
"""

import email.message
import email.parser
import re
from dataclasses import dataclass

from mmrace.compressed import expand
from mmrace.errors import UserError
from mmrace.patching.diff import DIFF, unquoted_crlf
from mmrace.patching.text import plain_text

_KEPT = ("From", "Date", "Subject", "Message-ID", "In-Reply-To", "References")
_HEAD = re.compile(rb"^(From |From: |Subject: )")


@dataclass(frozen=True)
class Part:
    """A part of a mail that holds a diff: ``name`` of the attachment, "" for the mail's text."""

    name: str
    raw: bytes


def parse(raw: bytes) -> email.message.Message:
    """Read a mail; the line that an mbox has above it is passed over."""
    head, _, rest = raw.partition(b"\n")
    return email.parser.BytesParser().parsebytes(rest if head.startswith(b"From ") else raw)


def patch_parts(raw: bytes) -> tuple[Part, ...]:
    """Return the parts with a diff, each as a mail; a mail of one part is returned as it is."""
    message = parse(raw)
    if not message.is_multipart():
        return (Part("", raw),) if DIFF.search(text_of(message, raw)) else ()
    found: list[Part] = []
    _collect(message, message, "", found)
    texts = [part for part in found if not part.name]
    others = [part for part in found if part.name]
    return (*texts[:1], *others)


def text_of(message: email.message.Message, raw: bytes) -> bytes:
    """Return what a mail of one part says, transfer encoding undone."""
    payload = message.get_payload(decode=True)
    return unquoted_crlf(payload) if isinstance(payload, bytes) else raw


def one_part(name: str, parts: tuple[Part, ...], part_name: str) -> tuple[Part, ...]:
    """Choose among the parts of one mail; UserError listing them when there is no telling.

    Several attachments that are the numbered mails of a series are all taken.
    """
    if part_name:
        chosen = [part for part in parts if part.name == part_name]
        if len(chosen) != 1:
            raise UserError(f"{name}: no attachment {part_name!r} with a patch; {_names_of(parts)}")
        return tuple(chosen)
    same = {b"".join(part.raw[found.start() :].split()) for part in parts if (found := _at(part))}
    if len(parts) < 2 or len(same) == 1:
        return parts[:1]
    subjects = [str(parse(part.raw)["Subject"] or "") for part in parts]
    counts = [re.search(r"\[[^\]]*\b(\d+)/(\d+)\]", subject) for subject in subjects]
    numbers = sorted(int(found[1]) for found in counts if found)
    if numbers == list(range(1, len(parts) + 1)):
        return parts
    raise UserError(f"{name}: {len(parts)} patches in one mail; {_names_of(parts)}")


def _names_of(parts: tuple[Part, ...]) -> str:
    names = [part.name for part in parts if part.name]
    return f"name one as FILE#NAME: {', '.join(names) or 'none is attached'}"


def _at(part: Part) -> re.Match[bytes] | None:
    return DIFF.search(part.raw)


def _collect(
    whole: email.message.Message, part: email.message.Message, name: str, found: list[Part]
) -> None:
    """Walk through the parts; ``whole`` is the mail that a part's text belongs to."""
    if part.get_content_type() == "message/rfc822":
        for inner in part.get_payload():
            if isinstance(inner, email.message.Message):
                title = name or part.get_filename() or str(inner["Subject"] or "mail")
                found += [Part(one.name or title, one.raw) for one in patch_parts(inner.as_bytes())]
        return
    if part.is_multipart():
        for inner in part.get_payload():
            if isinstance(inner, email.message.Message):
                _collect(whole, inner, name, found)
        return
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or part.get_content_type() == "text/html":
        return
    title = part.get_filename() or ""
    if title or part.get_content_disposition() == "attachment":
        _attached(whole, title or "attachment", content, found)
    elif DIFF.search(unquoted_crlf(content)):
        found.append(Part("", _alone(whole, part)))


def _attached(whole: email.message.Message, title: str, content: bytes, found: list[Part]) -> None:
    try:
        content = unquoted_crlf(plain_text(expand(title, content)))
    except UserError:
        return  # a damaged archive beside a patch
    begin = DIFF.search(content)
    if not begin:
        return
    if _HEAD.match(content):
        found.append(Part(title, content))
        return
    # A diff without a head: author, date and message are those of the mail around it.
    text = next((_plain(part) for part in whole.walk() if _is_text(part)), b"")
    head = _fields(whole, _KEPT) + b"Content-Transfer-Encoding: 8bit\n\n"
    found.append(Part(title, head + text.rstrip() + b"\n---\n" + content))


def _is_text(part: email.message.Message) -> bool:
    return part.get_content_type() == "text/plain" and not part.get_filename()


def _plain(part: email.message.Message) -> bytes:
    """The text of a part in UTF-8."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return b""
    try:
        return content.decode(part.get_content_charset() or "utf-8").encode()
    except (LookupError, ValueError):
        return content


def _alone(whole: email.message.Message, part: email.message.Message) -> bytes:
    """A part as a mail of its own."""
    fields = _fields(part, ("Content-Type", "Content-Transfer-Encoding"))
    # The payload as it came: get_payload() would decode it by its charset.
    payload = part.as_bytes().partition(b"\n\n")[2]
    return _fields(whole, _KEPT) + fields + b"\n" + payload


def _fields(message: email.message.Message, names: tuple[str, ...]) -> bytes:
    """Header fields as they came, whatever bytes are in them."""
    fields = {key.lower(): value for key, value in message.raw_items()}
    lines = [f"{name}: {fields[name.lower()]}\n" for name in names if name.lower() in fields]
    return "".join(lines).encode(errors="surrogateescape")
