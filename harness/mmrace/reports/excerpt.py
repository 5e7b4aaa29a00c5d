# SPDX-License-Identifier: GPL-2.0-only
"""What a report shows of long texts: the part that matters whole, the rest bounded."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmrace.crash import Crash
from mmrace.reports.account import Account, printable

HEAD, TAIL = 16_000, 48_000  # bytes kept of a log in which nothing stands out
CONTEXT = 24_000  # bytes kept on either side of a crash
REPORT = 96_000  # bytes kept of one crash
CRASHES = 6  # shown apart; the others stay in the log between them
OUTPUT = 2_000  # lines kept of what a workload said
RESULTS = 60  # lines of them that are results
_RESULT = re.compile(
    r"\bT(?:PASS|FAIL|BROK|CONF|WARN)\b|^(?:Summary:|(?:passed|failed|broken|skipped|warnings)\s+\d)"
    r"|^\s*(?:not )?ok \d|^\[(?:PASS|FAIL)|\b(?:ERROR|FAIL(?:ED)?|BUG)\b"
)


@dataclass(frozen=True)
class Piece:
    """A stretch of a log: ``kind`` is ``crash``, ``log`` or ``cut`` (left out).

    ``lines`` are (whether the line matters, text).
    """

    kind: str
    label: str
    lines: tuple[tuple[bool, str], ...] = ()


def console(account: Account) -> tuple[Piece, ...]:
    """Split the console at its crashes; what is left out is said."""
    shown = _crashes_to_show(account)
    if not shown:
        return tuple(_quiet(account.console))
    pieces: list[Piece] = []
    at = 0
    for found in shown:
        start, end = max(at, found.start), max(at, found.end)
        pieces += _log(account.console[at:start], "before" if not at else "between")
        pieces.append(_crash(account.console[start:end], found))
        at = end
    pieces += _log(account.console[at:], "after", keep_start=True)
    return tuple(pieces)


def _crashes_to_show(account: Account) -> list[Crash]:
    """Choose the crashes that are set apart: the one of the outcome, and the first others."""
    others = [item for item in account.crashes if item is not account.crash]
    chosen = [account.crash] if account.crash else []
    chosen += others[: CRASHES - len(chosen)]
    return sorted(chosen, key=lambda item: item.start)


def _quiet(data: bytes) -> Iterator[Piece]:
    """A console without a crash: its start and its end."""
    if len(data) <= HEAD + TAIL:
        yield Piece("log", f"{_count(data)} lines, no failure in them", _lines(data))
        return
    first, last = data[: _line_end(data, HEAD)], data[_line_end(data, len(data) - TAIL) :]
    yield Piece("log", f"first {_count(first)} lines", _lines(first))
    yield _cut(len(data) - len(first) - len(last))
    yield Piece("log", f"last {_count(last)} lines", _lines(last))


def _log(data: bytes, where: str, *, keep_start: bool = False) -> Iterator[Piece]:
    """What stands before, between or after crashes."""
    if not data.strip():
        return
    kept = data
    if len(data) > CONTEXT:
        edge = _line_end(data, CONTEXT if keep_start else len(data) - CONTEXT)
        kept = data[:edge] if keep_start else data[edge:]
    piece = Piece("log", f"{_count(kept)} lines {where}", _lines(kept))
    cut = [_cut(len(data) - len(kept))] if len(kept) < len(data) else []
    yield from ([piece, *cut] if keep_start else [*cut, piece])


def _crash(data: bytes, found: Crash) -> Piece:
    """One crash; the lines that name its function, and its header, matter."""
    whole = _lines(data[:REPORT], found.function)
    if len(data) > REPORT:
        whole = (*whole, (True, f"[{len(data) - REPORT:,} more bytes of this report left out]"))
    torn = f" (corrupted: {found.corrupted})" if found.corrupted else ""
    return Piece("crash", found.title + torn, whole)


def _lines(data: bytes, function: str = "") -> tuple[tuple[bool, str], ...]:
    text = printable(data.decode(errors="replace")).removesuffix("\n")
    headers = re.compile(
        r"\b(?:kernel BUG at|BUG: |WARNING: |general protection fault|Oops: |Kernel panic)"
        + (rf"|\b{re.escape(function)}\+0x" if function else "")
    )
    return tuple((bool(function and headers.search(line)), line) for line in text.split("\n"))


def _cut(size: int) -> Piece:
    return Piece("cut", f"{size:,} bytes left out; console.log in the run directory has them")


def _count(data: bytes) -> int:
    return data.rstrip(b"\n").count(b"\n") + 1


def _line_end(data: bytes, at: int) -> int:
    """Offset behind the line in which byte ``at`` is."""
    found = data.find(b"\n", at)
    return len(data) if found < 0 else found + 1


def output(account: Account) -> tuple[tuple[bool, str], ...]:
    """What the workload said, as (whether it is a result, line); long output loses its middle."""
    lines = [printable(line.text) for line in account.channel.output]
    if len(lines) > OUTPUT:
        half = OUTPUT // 2
        note = f"[{len(lines) - 2 * half:,} lines left out; channel.log has them]"
        lines = [*lines[:half], note, *lines[-half:]]
    return tuple((bool(_RESULT.search(line)), line) for line in lines)


def results(account: Account) -> tuple[str, ...]:
    """Results in the workload's own words, failures kept when there are too many."""
    found = [printable(item.text) for item in account.channel.failures]
    found += [line for result, line in output(account) if result]
    if len(found) <= RESULTS:
        return tuple(found)
    bad = [line for line in found if "TPASS" not in line]
    return (*bad[:RESULTS], f"[{len(found) - len(bad[:RESULTS])} more results]")


def trimmed(report: str, limit: int) -> str:
    """The first lines of a crash's report that fit ``limit``, registers and code bytes left out."""
    kept: list[str] = []
    size = 0
    lines = [line for line in report.splitlines() if not _NOISE.match(line)]
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > limit:
            kept.append(f"[{len(lines) - number} more lines]")
            break
        kept.append(line)
    return "\n".join(kept)


_NOISE = re.compile(
    r"\s*(?:Code:|R(?!IP)[A-Z0-9]{2}: [0-9a-f]|[FGCD]S:|CR\d:|DR\d:|PKRU:|RSP:|Modules linked in:"
    r"|Hardware name:|---\[|-{5,}|Kernel Offset:|<TASK>|</TASK>|RIP: 0033|EFLAGS:)"
)


def bounded(items: Sequence[str], limit: int) -> tuple[str, ...]:
    """At most ``limit`` items, and how many there are beyond."""
    if len(items) <= limit:
        return tuple(items)
    return (*items[:limit], f"and {len(items) - limit} more")
