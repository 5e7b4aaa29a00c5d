# SPDX-License-Identifier: GPL-2.0-only
"""Fenced blocks of README and docs, as tests see them.

A shell block of README or a tutorial says in a comment above it how it is tested: ``fast`` and
``slow`` are run as written, ``parse`` names what only its reader has, so its commands are only
parsed. ``exit 1`` lists the exit codes that are not 0, in order.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
RUN = [TOP / "README.md", *sorted((DOCS / "tutorials").glob("*.md"))]  # whose commands are run
PAGES = [TOP / "README.md", *sorted(DOCS.rglob("*.md"))]
HOWS = ("fast", "slow", "parse")
_BLOCK = re.compile(
    r"(?:^<!-- test: (?P<how>\w+)(?:; exit (?P<codes>[\d ]+))? -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, how it is tested, its text."""

    page: Path
    line: int
    language: str
    how: str
    codes: tuple[int, ...]
    text: str

    @property
    def name(self) -> str:
        """Page and line, for a test's name."""
        return f"{self.page.relative_to(TOP)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Words of each call of mmrace in it; ``console`` has them behind a prompt."""
        text = self.text.replace("\\\n", " ")
        for line in text.splitlines():
            if self.language == "console" and not line.startswith("$ "):
                continue
            for part in re.split(r"&&|;|\|", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                if words[:1] == ["mmrace"]:
                    yield words[1:]


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of some languages on a page, or all of them."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        if not languages or match["language"] in languages:
            codes = tuple(map(int, (match["codes"] or "").split()))
            line = text.count("\n", 0, match.start("language")) + 1
            found.append(
                Block(page, line, match["language"], match["how"] or "", codes, match["text"])
            )
    return found


def to_run(how: str) -> list[Block]:
    """Shell blocks of README and the tutorials that are tested in this way."""
    return [block for page in RUN for block in blocks(page, "sh") if block.how == how]


def run(block: Block, folder: Path, **environment: str) -> tuple[tuple[int, ...], str]:
    """Run a block in a folder that has the checkout's files; exit codes that are not 0, output.

    ``mmrace`` is the one of the running interpreter, as in an activated environment.
    """
    for path in TOP.iterdir():
        if not (folder / path.name).exists() and path.name != "artefacts":
            (folder / path.name).symlink_to(path)
    failed = folder / "failed"
    failed.unlink(missing_ok=True)
    script = f"trap 'echo $? >> {failed}' ERR\n{block.text}"
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    codes = map(int, failed.read_text().split()) if failed.exists() else ()
    return tuple(codes), done.stdout
