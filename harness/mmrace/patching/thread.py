# SPDX-License-Identifier: GPL-2.0-only
"""A thread of mails: which of them are a series, and what they say it is for."""

import email.header
import email.message
import email.parser
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mmrace.errors import UserError

_DIFF = re.compile(rb"^(diff --git |--- a/)", re.M)
_TAGS = re.compile(r"^(\s*(\w+:|\[[^\]]*\]))*\s*(?=\S)")
_LINK = re.compile(r"<([^<>\s]+)>")
_REPLY = re.compile(r"^\s*(re|aw|sv|fwd?)\s*:", re.I)
_BASE = re.compile(rb"^base-commit:\s+([0-9a-f]{12,40})\b", re.M)
_PATCH_ID = re.compile(rb"^prerequisite-patch-id:\s+([0-9a-f]{40})\b", re.M)
_MESSAGE_ID = re.compile(rb"^prerequisite-message-id:\s+<?([^\s>]+@[^\s>]+)", re.M)


@dataclass(frozen=True)
class Place:
    """What the bracket of a subject says: ``[PATCH v2 1/3]``; number and total are 0 without."""

    revision: int
    number: int
    total: int


@dataclass(frozen=True)
class Mail:
    """One mail; ``id`` without its angle brackets, "" when there is none."""

    name: str
    raw: bytes
    id: str
    subject: str
    place: Place
    reply: bool
    diff: bool
    body: bytes
    parents: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from other mails."""
        return self.id or self.name

    @property
    def topic(self) -> str:
        """The subject without what mail programs and lists put in front of it."""
        return _TAGS.sub("", self.subject).casefold()


@dataclass(frozen=True)
class Thread:
    """One revision of a series out of a thread.

    ``patches`` in their order, ``others`` what b4 may find trailers in (cover letter, replies,
    other revisions); ``needs`` are patch ids, ``needs_mails`` message ids of what goes before.
    """

    revision: int
    revisions: tuple[int, ...]
    patches: tuple[Mail, ...]
    others: tuple[Mail, ...]
    base_commit: str = ""
    needs: tuple[str, ...] = ()
    needs_mails: tuple[str, ...] = ()


def place(raw: bytes) -> Place:
    """Read the bracket of a mail's subject."""
    head = email.parser.BytesHeaderParser().parsebytes(raw)
    return _place(_subject(head))


def read_mail(name: str, raw: bytes) -> Mail:
    """Read one mail, whatever is wrong with its headers."""
    message = email.parser.BytesParser().parsebytes(raw)
    subject = _subject(message)
    body = message.get_payload(decode=True)
    text = body.replace(b"\r\n", b"\n") if isinstance(body, bytes) else raw
    return Mail(
        name=name,
        raw=raw,
        id=str(message.get("Message-ID") or "").strip().strip("<>"),
        subject=subject,
        place=_place(subject),
        reply=bool(_REPLY.match(subject)),
        diff=bool(_DIFF.search(text)),
        body=text,
        parents=tuple(_LINK.findall(f"{message['In-Reply-To']} {message['References']}")),
    )


def choose(name: str, mails: Iterable[Mail], revision: int | None = None) -> Thread:
    """Find the newest revision of the series in a thread, or the one that was asked for.

    Raises UserError when there is no patch, no such revision, or a patch is missing or there twice.
    """
    once = {mail.key: mail for mail in reversed(list(mails))}  # several lists in copy
    known = _one_series(name, list(reversed(once.values())))
    posted = [mail for mail in known if mail.diff and not mail.reply]
    if not posted:
        raise UserError(f"{name}: no patch in it")
    revisions = tuple(sorted({mail.place.revision for mail in posted}))
    wanted = revision or revisions[-1]
    if wanted not in revisions:
        listed = ", ".join(f"v{number}" for number in revisions)
        raise UserError(f"{name}: no revision v{wanted} in it; there are: {listed}")
    posted = [mail for mail in posted if mail.place.revision == wanted]
    patches = _in_order(name, [mail for mail in posted if mail.place.total] or posted)
    strays = {mail.id for mail in posted} - {mail.id for mail in patches}
    others = [mail for mail in known if mail not in patches and mail.id not in strays]
    covers = [m for m in others if m.place.revision == wanted and not m.reply and not m.diff]
    first = b"\n".join(mail.body for mail in (*covers, patches[0]))
    base = _BASE.search(first)
    return Thread(
        revision=wanted,
        revisions=revisions,
        patches=tuple(patches),
        others=tuple(others),
        base_commit=base[1].decode() if base else "",
        needs=tuple(found.decode() for found in _PATCH_ID.findall(first)),
        needs_mails=tuple(found.decode(errors="replace") for found in _MESSAGE_ID.findall(first)),
    )


def connected(mails: Iterable[Mail], wanted: str) -> tuple[Mail, ...]:
    """Mails that hang together with the one of an id, by what they are replies to."""
    return next((tuple(found) for found in _threads(list(mails)) if wanted in _ids(found)), ())


def _ids(mails: Iterable[Mail]) -> set[str]:
    return {mail.id for mail in mails if mail.id}


def _threads(mails: list[Mail]) -> list[list[Mail]]:
    found: list[tuple[set[str], list[Mail]]] = []
    for mail in mails:
        links = {mail.key, *mail.parents}
        joined = [mail]
        for other in [item for item in found if item[0] & links]:
            found.remove(other)
            links |= other[0]
            joined = other[1] + joined
        found.append((links, joined))
    return [sorted(thread, key=mails.index) for _, thread in found]


def _one_series(name: str, mails: list[Mail]) -> list[Mail]:
    """Leave out threads that another one needs; UserError when unrelated series are left."""
    threads = [thread for thread in _threads(mails) if any(m.diff and not m.reply for m in thread)]
    needed = {i.decode() for m in mails for i in _MESSAGE_ID.findall(m.body)}
    wanted = [thread for thread in threads if not needed & _ids(thread)] or threads
    if not wanted:
        return mails
    topics = [{mail.topic for mail in thread} for thread in wanted]
    for other, topic in zip(wanted[1:], topics[1:], strict=True):
        if not any(topic & seen for seen in topics if seen is not topic):
            first = wanted[0][0].subject, other[0].subject
            raise UserError(f"{name}: holds unrelated series, {first[0]!r} and {first[1]!r}")
    loose = [m for m in mails if not any(m in thread for thread in threads)]
    return [*(mail for thread in wanted for mail in thread), *loose]


def _in_order(name: str, patches: list[Mail]) -> list[Mail]:
    revision = patches[0].place.revision
    total = max(mail.place.total for mail in patches) or 1
    for number in range(1, total + 1):
        here = [mail for mail in patches if (mail.place.number or 1) == number]
        if not here:
            raise UserError(f"{name}: patch {number}/{total} of v{revision} is missing")
        if len(here) > 1:
            ids = " and ".join(f"<{mail.id}>" for mail in here[:2])
            raise UserError(f"{name}: patch {number}/{total} of v{revision} is twice in it: {ids}")
    return sorted(patches, key=lambda mail: mail.place.number)


def _subject(head: email.message.Message) -> str:
    raw = head.get("Subject") or ""
    try:
        text = str(email.header.make_header(email.header.decode_header(raw)))
    except (ValueError, LookupError):  # an encoding that nobody knows
        text = str(raw)
    return " ".join(text.split())


def _place(subject: str) -> Place:
    bracket = "".join(re.findall(r"^(?:\s*\w+:)*\W*(\[[^\]]*\])", subject))
    revision = re.search(r"\bv(\d+)\b", bracket, re.I)
    of = re.search(r"\b(\d+)/(\d+)\b", bracket)
    number, total = (int(of[1]), int(of[2])) if of else (0, 0)
    return Place(int(revision[1]) if revision else 1, number, total)
