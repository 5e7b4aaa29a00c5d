# SPDX-License-Identifier: GPL-2.0-only
"""What ``git show`` and ``git log -p`` print, as mails."""

import re

from mmrace.errors import UserError
from mmrace.patching.diff import blobs

_COMMIT = re.compile(rb"^commit ([0-9a-f]{7,64})\b[^\n]*\n(?=(?:Author|Merge|AuthorDate): )", re.M)
_FIELD = re.compile(rb"^(\w+): +(.*)$")
_BODY = re.compile(rb"^(?:---\n|diff --(?:git|cc|combined) |--- \S)", re.M)


def is_log(raw: bytes) -> bool:
    """Whether a text begins as git prints commits."""
    return bool(_COMMIT.match(raw))


def log_mails(name: str, raw: bytes) -> list[bytes]:
    """Return the commits that have a diff, the oldest first, each as a mail.

    git prints the newest first unless asked otherwise; which way round it is, the ids of changed
    files tell. Raises UserError for the diff of a merge.
    """
    at = [found.start() for found in _COMMIT.finditer(raw)]
    texts = [raw[begin:end] for begin, end in zip(at, [*at[1:], len(raw)], strict=True)]
    commits = [text for text in texts if re.search(rb"^diff --", text, re.M)]
    for text in commits:
        if re.search(rb"^diff --(cc|combined) ", text, re.M):
            merge = text.split()[1][:12].decode()
            raise UserError(f"{name}: commit {merge} is a merge; give the commits that it merges")
    newest_first = commits[::-1]
    if _follow(newest_first) or not _follow(commits):
        commits = newest_first
    return [_mail(text) for text in commits]


def _follow(commits: list[bytes]) -> bool:
    """Whether a commit finds a file as one before it has left it."""
    after: dict[str, str] = {}
    for text in commits:
        changed = blobs(text)
        for path, (old, _) in changed.items():
            if path in after and _same(after[path], old):
                return True
        after |= {path: new for path, (_, new) in changed.items()}
    return False


def _same(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _mail(text: bytes) -> bytes:
    head, _, rest = text.partition(b"\n\n")
    found = [_FIELD.match(line) for line in head.split(b"\n")[1:]]
    fields: dict[bytes, bytes] = {field[1]: field[2] for field in found if field}
    begin = _BODY.search(rest)
    below = rest[begin.start() :] if begin else b""
    message = re.sub(rb"^    ", b"", rest[: begin.start()] if begin else rest, flags=re.M)
    subject, _, body = message.strip().partition(b"\n\n")
    lines = [b"Subject: " + b" ".join(subject.split())] if subject else []
    for key, fields_tried in ((b"From", (b"Author",)), (b"Date", (b"AuthorDate", b"Date"))):
        lines += [key + b": " + fields[name] for name in fields_tried if name in fields][:1]
    lines += [b"Content-Type: text/plain; charset=UTF-8", b"", body, b"---", below]
    return b"\n".join(lines)
