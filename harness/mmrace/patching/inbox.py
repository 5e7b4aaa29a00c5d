# SPDX-License-Identifier: GPL-2.0-only
"""Threads through b4: fetched from a public-inbox, trailers collected, attestation checked.

Which server a message-id is looked up on is b4's own setting (``git config b4.midmask``); a URL
names its own.
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from mmrace.errors import InfraError, UserError
from mmrace.patching.attachment import one_part
from mmrace.patching.patch import Patch, Series, in_order, read_patches
from mmrace.patching.thread import Mail, Thread, choose, connected, place, read_mail
from mmrace.proc import Completed, run
from mmrace.sources.git import last_line

DEADLINE = 180.0  # seconds for one b4, which may ask DNS for keys
_ASK = re.compile(r"^(https?://|<?[^\s/<>]+@[^\s/<>]+>?$)")
_ATTESTED = re.compile(r"^\s*[vx] ((?:Signed|BADSIG|No key): .*)$", re.M)
_MARKS = ("-c", "b4.attestation-checkmarks=simple")
_FROM = re.compile(rb"^>*From ", re.M)
_TRAILER = re.compile(r"^[A-Z][A-Za-z]*(?:-[A-Za-z]+)*-?[Bb]y: \S|^(?:Link|Closes|Cc|Fixes): \S")
_DEPTH = 3  # threads that a series may need, each before the other


@dataclass(frozen=True)
class Source:
    """Where threads come from: mails that are here, or (with none) the server.

    ``attachment`` names the attachment that was asked for, if a mail has several.
    """

    name: str
    mails: tuple[Mail, ...] = ()
    attachment: str = ""

    @property
    def online(self) -> bool:
        """Whether the network is asked; a file never makes mmrace ask it."""
        return not self.mails


def is_address(name: str) -> bool:
    """Whether a name is a message-id, or the URL of one."""
    return bool(_ASK.match(name))


def fetch_series(name: str, revision: int | None) -> Series:
    """Fetch the thread of a message-id or URL, and read the series in it.

    Raises UserError when the server has no such mail, InfraError when it cannot be reached.
    """
    return _with_needs(Source(name), _fetch(name), revision, _DEPTH)


def thread_series(
    name: str, mails: Iterable[Mail], revision: int | None, attachment: str = ""
) -> Series:
    """Read the series out of a thread that is here; every mail has a message-id."""
    source = Source(name, tuple(mails), attachment)
    return _with_needs(source, source.mails, revision, _DEPTH)


def _with_needs(source: Source, mails: Sequence[Mail], revision: int | None, depth: int) -> Series:
    """Read one series, and before it those that it names by message-id."""
    thread = choose(source.name, mails, revision)
    posted = [patch for mail in thread.patches for patch in mail_patches(mail, source.attachment)]
    output, patches = _with_trailers(source, thread, posted)
    notes = [*_notes_of(thread), _attestation(source, thread, output)]
    first: list[Patch] = []
    for message_id in thread.needs_mails:
        above = _of_thread(source, message_id)
        if not above or not depth:
            notes.append(f"needs <{message_id}> first, which is not here")
            continue
        needed = _with_needs(replace(source, name=message_id), above, None, depth - 1)
        first += needed.patches
        notes.append(f"on top of <{message_id}>, which it needs: {len(needed.patches)} patches")
    pinned = f"{source.name.partition('#')[0]}#v{thread.revision}"
    return Series(
        pinned,
        (*first, *patches),
        outside=True,
        notes=tuple(notes),
        base_commit=thread.base_commit,
        needs=thread.needs,
    )


def _of_thread(source: Source, message_id: str) -> tuple[Mail, ...]:
    """Mails of the thread that a message-id belongs to."""
    if source.online:
        server = re.match(r"https?://[^/]+/[^/]+/", source.name)
        return _fetch(f"{server[0]}{quote(message_id, safe='@')}/" if server else message_id)
    return connected(source.mails, message_id)


def _fetch(name: str) -> tuple[Mail, ...]:
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        words = ["mbox", "--check-newer-revisions", "-M", "-o", scratch, "-n", "thread.maildir"]
        done = _b4(Path(scratch), [*words, name], online=True)
        mails = _read_maildir(Path(scratch) / "thread.maildir")
    if mails:
        return mails
    reason = last_line(done.errors)
    if "No messages" in done.errors or re.search(r"\b404\b", done.errors):
        raise UserError(f"{name}: the server has no such mail: {reason}; give it as a file")
    raise InfraError(f"{name}: cannot fetch the thread: {reason}; give it as a file", done.errors)


def mail_patches(mail: Mail, attachment: str = "") -> tuple[Patch, ...]:
    """Read the patch of a mail, or those that are attached to it as a series.

    Raises UserError when one is damaged, or when there are several and no telling which.
    """
    parts = one_part(mail.name, mail.parts, attachment)
    patches = read_patches((part.name or _numbered(mail), part.raw) for part in parts)
    if len(parts) > 1:
        return in_order(mail.name, patches)
    note = f"attached to {mail.subject!r}" if parts[0].name else ""
    note = f"from a reply, {mail.subject!r}" if mail.reply else note
    found = patches[0]
    if not found.total:
        place = mail.place
        found = replace(found, revision=place.revision, number=place.number, total=place.total)
    return (replace(found, notes=(*filter(None, [note]), *found.notes)),)


def _numbered(mail: Mail) -> str:
    """A mail's name in a mailbox, by the number that it has in its series."""
    box, mark, _ = mail.name.rpartition("#")
    return f"{box}#{mail.place.number}" if mark and mail.place.total else mail.name


def _with_trailers(
    source: Source, thread: Thread, posted: Sequence[Patch]
) -> tuple[str, tuple[Patch, ...]]:
    """Add the trailers that b4 finds in replies; what it said, and the patches.

    Only trailers are b4's: it reads a diff as text, and files of a kernel are not all UTF-8.
    """
    read_as = {place(mail.raw).inferred and mail.place.revision > 1 for mail in thread.patches}
    revision_option = [] if True in read_as else [f"-v{thread.revision}"]
    others = [mail for mail in thread.others if revision_option or not mail.diff or mail.reply]
    box = b"".join(_boxed(mail) for mail in (*others, *thread.patches))
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        words = ["am", "-m", "-", "-M", "-o", "out", "-n", "series", "--no-partial-reroll"]
        done = _b4(Path(scratch), [*words, *revision_option], online=source.online, stdin=box)
        ready = _read_maildir(Path(scratch) / "out" / "series.maildir")
    if done.returncode:
        reason = last_line(done.errors)
        raise UserError(
            f"{source.name}: b4 finds no series in it: {reason}; give patches as files", done.errors
        )
    if len(posted) != len(thread.patches):
        return done.errors, tuple(posted)
    bodies = {mail.id: mail.body.decode(errors="replace") for mail in ready}
    pairs = zip(thread.patches, posted, strict=True)
    return done.errors, tuple(_added(patch, mail, bodies.get(mail.id)) for mail, patch in pairs)


def _boxed(mail: Mail) -> bytes:
    """A mail as public-inbox has it in a mailbox."""
    head, _, rest = mail.raw.partition(b"\n")
    raw = rest if head.startswith(b"From ") else mail.raw
    return b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + _FROM.sub(rb">\g<0>", raw) + b"\n\n"


def _added(patch: Patch, mail: Mail, body: str | None) -> Patch:
    """The patch with those trailers of b4's message that its own does not have."""
    if body is None:
        note = () if mail.reply else ("without trailers of replies: b4 sees no patch in it",)
        return replace(patch, notes=(*patch.notes, *note))
    own = set(patch.message.splitlines())
    text = body.partition("\n---\n")[0]
    trailers = [line for line in text.splitlines() if _TRAILER.match(line) and line not in own]
    if not trailers:
        return patch
    gap = "\n" if _TRAILER.match(patch.message.rpartition("\n")[2]) else "\n\n"
    return replace(patch, message=patch.message + gap + "\n".join(dict.fromkeys(trailers)))


def _read_maildir(box: Path) -> tuple[Mail, ...]:
    paths = sorted([*box.glob("new/*"), *box.glob("cur/*")], key=lambda path: path.name)
    return tuple(read_mail(path.name, path.read_bytes()) for path in paths)


def _notes_of(thread: Thread) -> list[str]:
    others = [f"v{number}" for number in thread.revisions if number != thread.revision]
    left = f" (there are {', '.join(others)} too)" if others else ""
    first = thread.patches[0].place
    rest = len(thread.patches) == 1 and first.total > 1
    alone = [f"patch {first.number}/{first.total} of its series, taken alone"] if rest else []
    return [f"v{thread.revision}{left}", *alone]


def _attestation(source: Source, thread: Thread, output: str) -> str:
    """What b4 found out about who sent it."""
    found = dict.fromkeys(_ATTESTED.findall(output))
    if found:
        return f"attestation: {', '.join(found)}"
    signed = any(re.search(rb"^DKIM-Signature:", m.raw, re.M | re.I) for m in thread.patches)
    if signed and not source.online:
        return "attestation: DKIM signatures not checked, for that takes the network"
    return "attestation: none"


def _b4(
    scratch: Path, words: Sequence[str], *, online: bool, stdin: bytes | None = None
) -> Completed:
    """Run b4 in an empty directory, with the user's own settings and keys."""
    alone = [] if online else ["--offline-mode"]
    quiet = ["--no-stdin"] if stdin is None else []
    argv = [sys.executable, "-m", "b4.command", *quiet, "-n", *alone, *_MARKS, *words]
    env = {"GIT_CEILING_DIRECTORIES": str(scratch.parent), "GIT_TERMINAL_PROMPT": "0"}
    return run(argv, deadline=DEADLINE, cwd=scratch, env=env, stdin=stdin)
