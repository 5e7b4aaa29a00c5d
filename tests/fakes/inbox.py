# SPDX-License-Identifier: GPL-2.0-only
"""A thread on a mailing list, and a public-inbox that serves it over HTTP."""

import gzip
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fakes.kerneltree import git

AUTHOR = "Tess Ter <t@example.org>"


@dataclass(frozen=True)
class Mail:
    """One message of the thread."""

    id: str
    text: str

    @property
    def mbox(self) -> str:
        """The message as an mbox has it."""
        return f"From mboxrd@z Thu Jan  1 00:00:00 1970\n{self.text}\n"


def letter(
    mid: str, subject: str, body: str, parent: str = "", author: str = AUTHOR, day: int = 1
) -> Mail:
    """A mail without a patch."""
    head = f"From: {author}\nTo: linux-mm@example.org\nSubject: {subject}\n"
    head += f"Date: Sat, {day} Jan 2022 10:00:00 +0000\nMessage-ID: <{mid}>\n"
    if parent:
        head += f"In-Reply-To: <{parent}>\nReferences: <{parent}>\n"
    head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    return Mail(mid, f"{head}Content-Transfer-Encoding: 8bit\n\n{body}\n")


def patches(
    repo: Path, revisions: str, revision: int, parent: str = "", cover: str | None = None
) -> list[Mail]:
    """The mails of one posting; ``cover`` is the text of a cover letter, sent as ``vN-0@list``."""
    listed = git(repo, "rev-list", "--reverse", revisions).split()
    tag = f"v{revision} " if revision > 1 else ""
    top = f"v{revision}-0@list" if cover is not None else f"v{revision}-1@list"
    mails = []
    if cover is not None:
        body = f"{cover}\n\nTess Ter ({len(listed)}):\n  all of it\n\n mm/walk.c | 4 ++--\n"
        subject = f"[PATCH {tag}0/{len(listed)}] mm/walk: longer steps"
        mails.append(letter(top, subject, body, parent, day=revision))
    for number, commit in enumerate(listed, 1):
        text = git(repo, "format-patch", "--stdout", "--no-signature", "-1", commit) + "\n"
        head, _, body = text.partition("\n\n")
        mid = f"v{revision}-{number}@list"
        lines = [line for line in head.splitlines()[1:] if not line.startswith("Subject:")]
        subject = git(repo, "log", "-1", "--format=%s", commit)
        lines += [f"Subject: [PATCH {tag}{number}/{len(listed)}] {subject}"]
        lines += [f"Message-ID: <{mid}>"]
        if mid != top or parent:
            above = top if mid != top else parent
            lines += [f"In-Reply-To: <{above}>", f"References: <{above}>"]
        mails.append(Mail(mid, "\n".join(lines) + f"\n\n{body}"))
    return mails


def write_mbox(path: Path, mails: Sequence[Mail]) -> Path:
    """Write the mails as one mailbox; a surrogate escape is a byte that is no UTF-8."""
    path.write_text(
        "".join(mail.mbox for mail in mails), encoding="utf-8", errors="surrogateescape"
    )
    return path


@contextmanager
def public_inbox(*threads: Sequence[Mail]) -> Iterator[tuple[str, list[str]]]:
    """Serve threads; yields the list's URL and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            path = urllib.parse.unquote(self.path).removeprefix("/linux-mm/")
            for thread in threads:
                if path in [f"{mail.id}/t.mbox.gz" for mail in thread]:
                    self._give("".join(mail.mbox for mail in thread))
                    return
            self.send_error(404)

        def do_POST(self) -> None:
            """Answer a search for newer revisions: there is none."""
            paths.append(self.path)
            self.send_error(404)

        def _give(self, text: str) -> None:
            packed = gzip.compress(text.encode())
            self.send_response(200)
            self.send_header("Content-Type", "application/gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_args: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/linux-mm", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
