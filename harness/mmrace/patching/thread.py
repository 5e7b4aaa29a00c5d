# SPDX-License-Identifier: GPL-2.0-only
"""A thread of mails: which of them are a series, and what they say it is for."""

import email.header
import email.message
import email.utils
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmrace.errors import UserError
from mmrace.patching.attachment import Part, parse, patch_parts, text_of

_DASHED = re.compile(r"(?<=[\s\[])-(?=v\d+[\s\]])")  # [PATCH -v2 1/2]
_TAGS = re.compile(r"^(\s*(\w+:|\[[^\]]*\]))*\s*(?=\S)")
_LINK = re.compile(r"<([^<>\s]+)>")
_REPLY = re.compile(r"^\s*(re|aw|sv|fwd?)\s*:", re.I)
_BASE = re.compile(rb"^base-commit:\s+([0-9a-f]{12,40})\b", re.M)
_PATCH_ID = re.compile(rb"^prerequisite-patch-id:\s+([0-9a-f]{40})\b", re.M)
_MESSAGE_ID = re.compile(rb"^prerequisite-message-id:\s+<?([^\s>]+@[^\s>]+)", re.M)


@dataclass(frozen=True)
class Place:
    """What the bracket of a subject says: ``[PATCH v2 1/3]``; number and total are 0 without.

    ``inferred``: it names no revision.
    """

    revision: int
    number: int
    total: int
    inferred: bool = True


@dataclass(frozen=True)
class Mail:
    """One mail; ``id`` without its angle brackets, "" when there is none.

    ``parts`` are the patches in it; ``body`` is its text, or the first part with a patch.
    """

    name: str
    raw: bytes
    id: str
    subject: str
    place: Place
    reply: bool
    body: bytes
    sender: str = ""
    parts: tuple[Part, ...] = ()
    parents: tuple[str, ...] = ()

    @property
    def diff(self) -> bool:
        """Whether there is a patch in it."""
        return bool(self.parts)

    @property
    def key(self) -> str:
        """What distinguishes it from other mails."""
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
    return _place(_subject(parse(raw)))


def read_mail(name: str, raw: bytes) -> Mail:
    """Read one mail, whatever is wrong with its headers."""
    message = parse(raw)
    subject = _subject(message)
    parts = patch_parts(raw)
    text = parse(parts[0].raw) if parts else message
    return Mail(
        name=name,
        raw=raw,
        id=str(message.get("Message-ID") or "").strip().strip("<>"),
        subject=subject,
        place=_place(subject),
        reply=bool(_REPLY.match(subject)),
        body=text_of(text, parts[0].raw if parts else raw),
        sender=email.utils.parseaddr(str(message["From"] or ""))[1],
        parts=parts,
        parents=tuple(_LINK.findall(f"{message['In-Reply-To']} {message['References']}")),
    )


def choose(name: str, mails: Iterable[Mail], revision: int | None = None) -> Thread:
    """Find the newest revision of the series in a thread, or the requested revision.

    Raises UserError when there is no patch, no such revision, or a patch is missing or there twice.
    """
    once = {mail.key: mail for mail in mails}  # several lists in copy
    known = _one_series(name, _below_covers(sorted(once.values(), key=_order)))
    posted = [mail for mail in known if mail.diff and not mail.reply] or _from_reply(name, known)
    revisions = tuple(sorted({mail.place.revision for mail in posted}))
    chosen = revision or revisions[-1]
    if chosen not in revisions:
        listed = ", ".join(f"v{number}" for number in revisions)
        raise UserError(f"{name}: no revision v{chosen} in it; it has: {listed}")
    posted = [mail for mail in posted if mail.place.revision == chosen]
    numbered = [mail for mail in posted if mail.place.total] or posted
    patches = numbered if _is_alone(known) else _in_order(name, numbered)
    strays = {mail.id for mail in posted} - {mail.id for mail in patches}
    others = [mail for mail in known if mail not in patches and mail.id not in strays]
    covers = [m for m in others if m.place.revision == chosen and not m.reply and not m.diff]
    first = b"\n".join(mail.body for mail in (*covers, patches[0]))
    base = _BASE.search(first)
    return Thread(
        revision=chosen,
        revisions=revisions,
        patches=tuple(patches),
        others=tuple(others),
        base_commit=base[1].decode() if base else "",
        needs=tuple(found.decode() for found in _PATCH_ID.findall(first)),
        needs_mails=tuple(found.decode(errors="replace") for found in _MESSAGE_ID.findall(first)),
    )


def connected(mails: Iterable[Mail], message_id: str) -> tuple[Mail, ...]:
    """Mails that hang together with the one of an id, by what they are replies to."""
    return next((tuple(found) for found in _threads(list(mails)) if message_id in _ids(found)), ())


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
    threads = _join_unthreaded(threads)
    needed = {i.decode() for m in mails for i in _MESSAGE_ID.findall(m.body)}
    chosen = [thread for thread in threads if not needed & _ids(thread)] or threads
    if not chosen:
        return mails
    topics = [{mail.topic for mail in thread} for thread in chosen]
    for other, topic in zip(chosen[1:], topics[1:], strict=True):
        if not any(topic & seen for seen in topics if seen is not topic):
            first = chosen[0][0].subject, other[0].subject
            raise UserError(f"{name}: several series, {first[0]!r} and {first[1]!r}; give one")
    loose = [m for m in mails if not any(m in thread for thread in threads)]
    return [*(mail for thread in chosen for mail in thread), *loose]


def _order(mail: Mail) -> tuple[bool, int, int, str]:
    """An order that does not depend on that of a directory."""
    return (mail.reply, mail.place.revision, mail.place.number, mail.key)


def _join_unthreaded(threads: list[list[Mail]]) -> list[list[Mail]]:
    """Join the mails of a series that was posted, or saved, without threading."""
    loose: dict[object, list[list[Mail]]] = {}
    for thread in threads:
        place = next(mail.place for mail in thread if mail.diff and not mail.reply)
        several = sum(mail.diff and not mail.reply for mail in thread) > 1
        key = (thread[0].sender, place.revision, place.total)
        loose.setdefault(id(thread) if several or place.total < 2 else key, []).append(thread)
    done = []
    for found in loose.values():
        numbers = [mail.place.number for thread in found for mail in thread if mail.diff]
        same = len(set(numbers)) == len(numbers)
        done += [[mail for thread in found for mail in thread]] if same else found
    return done


def _is_alone(mails: list[Mail]) -> bool:
    """Whether there is one patch, and nothing else of its series: one mail out of many."""
    cover = any(mail.place.total > 1 and not mail.reply and not mail.diff for mail in mails)
    return not cover and sum(mail.diff for mail in mails) == 1


def _from_reply(name: str, mails: list[Mail]) -> list[Mail]:
    """The reply that has a patch, if no other mail has one."""
    found = [mail for mail in mails if mail.diff]
    if not found:
        raise UserError(f"{name}: no patch in it; name the mail that has one")
    if len(found) > 1:
        ids = ", ".join(f"<{mail.id}>" if mail.id else mail.name for mail in found)
        raise UserError(f"{name}: {len(found)} replies with a patch, {ids}; give one mail alone")
    return found


def _in_order(name: str, patches: list[Mail]) -> list[Mail]:
    revision = patches[0].place.revision
    total = max(mail.place.total for mail in patches) or 1
    for number in range(1, total + 1):
        here = [mail for mail in patches if (mail.place.number or 1) == number]
        if not here:
            way_out = "without it, name each patch"
            raise UserError(f"{name}: patch {number}/{total} of v{revision} is missing; {way_out}")
        if len(here) > 1:
            ids = " and ".join(f"<{mail.id}>" for mail in here[:2])
            raise UserError(
                f"{name}: patch {number}/{total} of v{revision} occurs twice; give one of {ids}"
            )
    return sorted(patches, key=lambda mail: mail.place.number)


def _subject(head: email.message.Message) -> str:
    raw = head.get("Subject") or ""
    try:
        text = str(email.header.make_header(email.header.decode_header(raw)))
    except (ValueError, LookupError):  # an unknown encoding
        text = str(raw)
    return " ".join(text.split())


def _place(subject: str) -> Place:
    """Read the numbers as b4 does."""
    # b4 takes a third of a second to be imported, which most commands need not spend.
    from b4 import LoreSubject  # noqa: PLC0415

    read = LoreSubject(_DASHED.sub("", subject))
    number, total = (0, 0) if read.counters_inferred else (read.counter, read.expected)
    return Place(read.revision, number, total, read.revision_inferred)


def _below_covers(mails: list[Mail]) -> list[Mail]:
    """Give patches without a revision that of the cover letter, or first patch, above them."""
    posted = [mail for mail in mails if not mail.reply and not mail.place.inferred]
    above = {mail.id: mail.place for mail in posted}
    taken = {mail.place.revision for mail in posted if mail.diff and mail.place.number > 1}

    def placed(mail: Mail) -> Mail:
        places = [above[parent] for parent in mail.parents if parent in above]
        same = [one for one in places if one.total == mail.place.total]
        fits = mail.diff and not mail.reply and mail.place.inferred and mail.place.total
        if not fits or not same or same[0].revision in taken:
            return mail
        return replace(mail, place=replace(mail.place, revision=same[0].revision))

    return [placed(mail) for mail in mails]
