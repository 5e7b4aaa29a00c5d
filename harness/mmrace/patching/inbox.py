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
from mmrace.patching.patch import Patch, Series, read_patches
from mmrace.patching.thread import Mail, Thread, choose, connected, read_mail
from mmrace.proc import Completed, run
from mmrace.sources.git import last_line

DEADLINE = 180.0  # seconds for one b4, which may ask DNS for keys
_ASK = re.compile(r"^(https?://|<?[^\s/<>]+@[^\s/<>]+>?$)")
_ATTESTED = re.compile(r"^\s*[vx] ((?:Signed|BADSIG|No key): .*)$", re.M)
_MARKS = ("-c", "b4.attestation-checkmarks=simple")
_DEPTH = 3  # threads that a series may need, each before the other


@dataclass(frozen=True)
class Source:
    """Where threads come from: mails that are here, or (with none) the server."""

    name: str
    mails: tuple[Mail, ...] = ()

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


def thread_series(name: str, mails: Iterable[Mail], revision: int | None) -> Series:
    """Read the series out of a thread that is here; every mail has a message-id."""
    source = Source(name, tuple(mails))
    return _with_needs(source, source.mails, revision, _DEPTH)


def _with_needs(source: Source, mails: Sequence[Mail], revision: int | None, depth: int) -> Series:
    """Read one series, and before it those that it names by message-id."""
    thread = choose(source.name, mails, revision)
    said, patches = _am(source, thread)
    notes = [_taken(thread), _attestation(source, thread, said)]
    first: list[Patch] = []
    for wanted in thread.needs_mails:
        above = _of_thread(source, wanted)
        if not above or not depth:
            notes.append(f"needs <{wanted}> first, which is not here")
            continue
        needed = _with_needs(replace(source, name=wanted), above, None, depth - 1)
        first += needed.patches
        notes.append(f"on top of <{wanted}>, which it needs: {len(needed.patches)} patches")
    pinned = f"{source.name.partition('#')[0]}#v{thread.revision}"
    return Series(
        pinned,
        (*first, *patches),
        outside=True,
        notes=tuple(notes),
        base_commit=thread.base_commit,
        needs=thread.needs,
    )


def _of_thread(source: Source, wanted: str) -> tuple[Mail, ...]:
    """Mails of the thread that a message-id belongs to."""
    if source.online:
        server = re.match(r"https?://[^/]+/[^/]+/", source.name)
        return _fetch(f"{server[0]}{quote(wanted, safe='@')}/" if server else wanted)
    return connected(source.mails, wanted)


def _fetch(name: str) -> tuple[Mail, ...]:
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        words = ["mbox", "--check-newer-revisions", "-M", "-o", scratch, "-n", "thread.maildir"]
        done = _b4(Path(scratch), [*words, name], online=True)
        mails = _read_maildir(Path(scratch) / "thread.maildir")
    if mails:
        return mails
    reason = last_line(done.errors)
    if "No messages" in done.errors or re.search(r"\b404\b", done.errors):
        raise UserError(f"{name}: the server has no such mail: {reason}")
    raise InfraError(f"{name}: cannot fetch the thread: {reason}; give it as a file", done.errors)


def _am(source: Source, thread: Thread) -> tuple[str, tuple[Patch, ...]]:
    """Let b4 make the series ready to apply; what it said, and the patches."""
    # Whatever b4 makes of a damaged mail: the patches as posted have to be good.
    posted = read_patches((mail.name, mail.raw) for mail in thread.patches)
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        box = Path(scratch) / "thread"
        for name in ("cur", "new", "tmp"):
            (box / name).mkdir(parents=True)
        for number, mail in enumerate((*thread.patches, *thread.others)):
            (box / "new" / f"{number:06}.eml").write_bytes(mail.raw)
        words = ["am", "-m", "thread", "-M", "-o", "out", "-n", "series", "--no-partial-reroll"]
        done = _b4(Path(scratch), [*words, f"-v{thread.revision}"], online=source.online)
        ready = _read_maildir(Path(scratch) / "out" / "series.maildir")
    if done.returncode or len(ready) != len(posted):
        reason = last_line(done.errors)
        raise UserError(f"{source.name}: b4 makes no series of it: {reason}", done.errors)
    patches = read_patches((mail.name, mail.raw) for mail in ready)
    numbered = zip(posted, patches, strict=True)
    return done.errors, tuple(replace(patch, name=was.name) for was, patch in numbered)


def _read_maildir(box: Path) -> tuple[Mail, ...]:
    paths = sorted([*box.glob("new/*"), *box.glob("cur/*")], key=lambda path: path.name)
    return tuple(read_mail(path.name, path.read_bytes()) for path in paths)


def _taken(thread: Thread) -> str:
    others = [f"v{number}" for number in thread.revisions if number != thread.revision]
    left = f" (there are {', '.join(others)} too)" if others else ""
    return f"v{thread.revision}{left}"


def _attestation(source: Source, thread: Thread, said: str) -> str:
    """What b4 found out about who sent it."""
    found = dict.fromkeys(_ATTESTED.findall(said))
    if found:
        return f"attestation: {', '.join(found)}"
    signed = any(re.search(rb"^DKIM-Signature:", m.raw, re.M | re.I) for m in thread.patches)
    if signed and not source.online:
        return "attestation: DKIM signatures not checked, for that takes the network"
    return "attestation: none"


def _b4(scratch: Path, words: Sequence[str], *, online: bool) -> Completed:
    """Run b4 in an empty directory, with the user's own settings and keys."""
    alone = [] if online else ["--offline-mode"]
    argv = [sys.executable, "-m", "b4.command", "--no-stdin", "-n", *alone, *_MARKS, *words]
    env = {"GIT_CEILING_DIRECTORIES": str(scratch.parent), "GIT_TERMINAL_PROMPT": "0"}
    return run(argv, deadline=DEADLINE, cwd=scratch, env=env)
