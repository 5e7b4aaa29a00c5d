# SPDX-License-Identifier: GPL-2.0-only
"""Synthetic reports in the order in which kernels print them, and what each amounts to.

``tests/reports/*.txt``: blocks of ``=== NAME``, ``KIND | FUNCTION | WORDS`` of the title (or
``nothing``), then the console. A fourth field says why the report is corrupted, or ``whole``.
Written from the kernel's printing code, names of functions made up.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "reports"


@dataclass(frozen=True)
class Case:
    """One console and the one report in it; ``kind`` is empty where there is none.

    ``reason``: why it is corrupted, ``whole``, or empty where that is not looked at.
    """

    name: str
    kind: str
    function: str
    words: str
    console: bytes
    reason: str = ""


def all_cases() -> list[Case]:
    """All blocks of all files."""
    return [
        _case(path.stem, block)
        for path in sorted(FOLDER.glob("*.txt"))
        for block in path.read_text().split("\n=== ")
    ]


def _case(area: str, block: str) -> Case:
    name, expected, console = block.removeprefix("=== ").split("\n", 2)
    if expected == "nothing":
        return Case(f"{area}: {name}", "", "", "", console.encode())
    kind, function, words, *reason = (part.strip(" -") for part in expected.split(" |"))
    return Case(f"{area}: {name}", kind, function, words, console.encode(), "".join(reason))
