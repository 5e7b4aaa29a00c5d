# SPDX-License-Identifier: GPL-2.0-only
"""What a failed kernel build said: the compiler's own message, found in make's output."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DETAIL_LINES = 24

_WIDTH = 1000  # characters of a line that are told
_SOURCE = "/src/"
# Lines may come from a hostile makefile: no pattern may take more than linear time to fail.
_COMPILER = re.compile(
    r"(?<![^\s:])(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?:fatal )?[Ee]rror: (?P<text>.+)"
)
_WARNING = re.compile(r"(?P<file>[^\s:]+):(?:[\d.+x()a-fA-F]+:)* [Ww]arning: (?P<text>.+)")
_LINKER = re.compile(r"^(?:[^:]*\b)?ld(?:\.bfd)?: (?P<text>.*(?:undefined|multiple|cannot).+)")
_OTHER = re.compile(
    r"(?P<text>(?:error|ERROR): .+|^.*undefined reference to .+|^.*\*\*\* .+|fatal: .+)"
)
_LEADING = re.compile(r"(In file included from | {10,}from |[^\s:]+: In function |.*: note: )")
_GAVE_UP = re.compile(r"g?make(\[\d+\])?: \*\*\* \[")
_MAKE = re.compile(r"g?make(\[\d+\])?: |  [A-Z]+ +\S")


@dataclass(frozen=True)
class BuildFailure:
    """The first error of a build; ``file`` is relative to the source, empty when unknown."""

    summary: str
    file: str
    detail: str


def warnings(lines: Sequence[str]) -> tuple[str, ...]:
    """Warnings of compilers and of modpost, each once, without line numbers: these move."""
    found: dict[str, None] = {}
    for line in lines:
        if match := _WARNING.match(line.replace(_SOURCE, "")):
            found[f"{match['file']}: {match['text'].strip()}"] = None
    return tuple(found)


def first_failure(lines: Sequence[str]) -> BuildFailure:
    """Find the first error in the lines that a build printed.

    Looks for compilers first, then the linker, then anything that calls itself an error.
    """
    clean = [_printable(line.replace(_SOURCE, "").rstrip()) for line in lines]
    for pattern in (_COMPILER, _LINKER, _OTHER):
        for index, line in enumerate(clean):
            if match := pattern.search(line):
                if message := _message_before(clean, index):  # fixdep and the shell name no error
                    return BuildFailure(message, "", _around(clean, index - 1))
                found = match.groupdict()
                where = f"{found['file']}:{found['line']}: " if "file" in found else ""
                return BuildFailure(
                    where + found["text"], found.get("file", ""), _around(clean, index)
                )
    tail = [line for line in clean if line][-DETAIL_LINES:]
    return BuildFailure(tail[-1] if tail else "make printed nothing", "", "\n".join(tail))


def _message_before(lines: Sequence[str], index: int) -> str:
    """What a tool said right before make's own line about it; empty for any other line."""
    if index == 0 or not _GAVE_UP.match(lines[index]):
        return ""
    before = lines[index - 1].strip()
    return "" if _MAKE.match(lines[index - 1]) else before


def _printable(line: str) -> str:
    text = line if len(line) <= _WIDTH else f"{line[:_WIDTH]}..."
    if text.replace("\t", " ").isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "?" for char in text)


def _around(lines: Sequence[str], index: int) -> str:
    """Return the message with its "In file included from" above and its source lines below."""
    first = index
    while first > 0 and _LEADING.match(lines[first - 1]):
        first -= 1
    last = index + 1
    while last < len(lines) and last - first < DETAIL_LINES and not _MAKE.match(lines[last]):
        last += 1
    return "\n".join(lines[first:last])


def blame(failure: BuildFailure, touched: Mapping[str, str]) -> str:
    """Say which patch touched the file that did not compile; ``touched`` maps path to patch."""
    if patch := touched.get(failure.file):
        return f"{failure.summary} ({patch} touches {failure.file})"
    if touched and failure.file:
        return f"{failure.summary} (no patch touches {failure.file})"
    return failure.summary
