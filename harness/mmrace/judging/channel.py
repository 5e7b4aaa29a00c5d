# SPDX-License-Identifier: GPL-2.0-only
"""The result channel of a run (docs/reference/result-channel.md), parsed.

Lines that are torn, cut off or unknown are left out and counted; nothing here raises.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

from mmrace.judging.counters import Counters

TimeIndex = tuple[tuple[float, int], ...]


class Result(StrEnum):
    """The result that KTAP states for one iteration."""

    OK = "ok"
    NOT_OK = "not ok"
    SKIP = "skip"


@dataclass(frozen=True)
class Iteration:
    """One execution of the workload.

    ``exit_code``: negative for a signal, None when its line has none. ``offset``: where its line
    begins in the channel (bytes). ``raced``: its seconds in the race phase, on the guest's clock.
    """

    number: int
    result: Result
    exit_code: int | None
    seconds: float | None
    offset: int
    raced: float | None = None


@dataclass(frozen=True)
class OutputLine:
    """A line of the workload's output, and its offset in the channel (bytes)."""

    offset: int
    text: str


@dataclass(frozen=True)
class Channel:
    """Everything that the guest reported.

    ``started`` and ``raced``: offsets of the lines with the first start of the workload and the
    first start of a race phase, None when there was none; ``races``: offsets of all starts of race
    phases. ``counters``: PID 1's since the start, all others summed over the iterations. ``before``
    and ``after``: invariants at start and end. ``bailed``: why the guest could not be set up.
    ``complete``: the end marker arrived. ``cut``: iterations that PID 1 ended when the time was
    over; ``cut_raced``: their seconds in the race phase. ``missed``: what a reproducer wanted and
    the guest does not have. ``torn``: number of lines that are not of the protocol.
    """

    release: str = ""
    name: str = ""
    started: int | None = None
    raced: int | None = None
    iterations: tuple[Iteration, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    failures: tuple[OutputLine, ...] = ()
    output: tuple[OutputLine, ...] = ()
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    bailed: str = ""
    complete: bool = False
    cut: int = 0
    missed: tuple[str, ...] = ()
    torn: int = 0
    races: tuple[int, ...] = ()
    cut_raced: float = 0.0

    @property
    def seconds_raced(self) -> float | None:
        """Guest seconds in the race phase.

        None when an iteration does not report them (older runs).
        """
        known = [item.raced for item in self.iterations if item.raced is not None]
        if len(known) < len(self.iterations):
            return None
        return sum(known) + self.cut_raced

    @property
    def passed(self) -> int:
        """Number of iterations that passed."""
        return sum(1 for item in self.iterations if item.result is Result.OK)

    @property
    def executions(self) -> int:
        """Number of iterations that ended, with any exit code, or were cut."""
        return self.cut + sum(1 for item in self.iterations if item.result is not Result.SKIP)


def second_of(times: TimeIndex, offset: int) -> float | None:
    """Seconds from QEMU's start to the arrival of the byte at ``offset``; None if unknown."""
    found = bisect_right(times, offset, key=lambda pair: pair[1])
    return times[found - 1][0] if found else None


_RESULT = re.compile(
    r"(?P<result>ok|not ok) (?P<number>\d+)(?: -)?(?: (?P<name>[^#]*?))?"
    r"(?:\s*# ?(?P<note>.*))?$"
)
_FIELD = re.compile(r"(exit|signal|seconds|raced)=(-?\d+(?:\.\d+)?)(?=\s|$)")
_INVARIANT = re.compile(r"# invariant (\S+) (-?\d+)$")
_PROTOCOL = re.compile(
    r"# (?:cut|note|release|start|out|window|alive)\b|KTAP version \d|\d+\.\.\d+$|$"
)
_QUOTED = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


class Reader:
    """State of parsing; ``keep_output``: whether to keep the workload's output."""

    def __init__(self, *, keep_output: bool = True) -> None:
        """Start before the first line."""
        self._keep_output = keep_output
        self.release = self.name = ""
        self.started: int | None = None
        self.races: list[int] = []
        self.iterations: list[Iteration] = []
        self.counters = Counters()
        self.cut_raced = 0.0
        self.failures: list[OutputLine] = []
        self.output: list[OutputLine] = []
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.bailed = ""
        self.complete = False
        self.cut = 0
        self.missed: list[str] = []
        self.torn = 0

    def line(self, text: str, offset: int) -> None:
        """Parse one whole line."""
        if text.startswith("# out "):
            self._add_output(_unquote(text[6:]), offset)
        elif self.counters.line(text):
            pass
        elif match := _INVARIANT.match(text):
            (self.before if self.started is None else self.after)[match[1]] = int(match[2])
        elif match := _RESULT.match(text):
            self.iteration(match, offset)
        elif text.startswith("# start") and self.started is None:
            self.started, self.name = offset, text[8:].strip()
        elif text.startswith("# cut "):
            self.cut += 1
            self.cut_raced += float(dict(_FIELD.findall(text)).get("raced", 0))
        elif text.startswith("# release "):
            self.release = text[10:].strip()
        elif text.startswith("Bail out! "):
            self.bailed = _unquote(text[10:])
        elif text == "# end":
            self.complete = True
        elif text.startswith("# missed "):
            self.missed.append(_unquote(text[9:]))
        elif not _PROTOCOL.match(text):
            self.torn += 1

    def _add_output(self, text: str, offset: int) -> None:
        """Parse a line of the workload's output."""
        if self._keep_output:
            self.output.append(OutputLine(offset, text))
        if self.counters.take(text):
            return
        if text.startswith("mmrace: fail"):
            self.failures.append(OutputLine(offset, text[13:].strip()))
        elif text == "mmrace: race":
            self.races.append(offset)

    def iteration(self, match: re.Match[str], offset: int) -> None:
        """Parse the end of an iteration, and add up its counters."""
        note = match["note"] or ""
        fields = dict(_FIELD.findall(note))
        code = int(float(fields["exit"])) if "exit" in fields else None
        if "signal" in fields:
            code = -int(float(fields["signal"]))
        result = Result(match["result"])
        if result is Result.OK and note.upper().startswith("SKIP"):
            result = Result.SKIP
        seconds = float(fields["seconds"]) if "seconds" in fields else None
        raced = float(fields["raced"]) if "raced" in fields else None
        number = int(match["number"])
        self.iterations.append(Iteration(number, result, code, seconds, offset, raced))
        self.counters.end_iteration(passed=result is Result.OK)


def _unquote(text: str) -> str:
    """Undo PID 1's quoting of bytes that are not printable."""
    if "\\" not in text:
        return text
    plain = _QUOTED.sub(lambda match: chr(int(match[1], 16)) if match[1] else "\\", text)
    return plain.encode("latin-1", "replace").decode(errors="replace")


def parse(data: bytes) -> Channel:
    """Parse a result channel; a last line without a newline is ignored."""
    reader = Reader()
    offset = 0
    for raw in data.splitlines(keepends=True):
        if raw.endswith(b"\n"):
            text = raw.replace(b"\0", b"").decode(errors="replace").rstrip("\r\n")
            reader.line(text, offset)
        offset += len(raw)
    return Channel(
        release=reader.release,
        name=reader.name,
        started=reader.started,
        raced=reader.races[0] if reader.races else None,
        races=tuple(reader.races),
        iterations=tuple(reader.iterations),
        counters=reader.counters.as_dict(),
        failures=tuple(reader.failures),
        output=tuple(reader.output),
        before=reader.before,
        after=reader.after,
        bailed=reader.bailed,
        complete=reader.complete,
        cut=reader.cut,
        missed=tuple(reader.missed),
        torn=reader.torn,
        cut_raced=reader.cut_raced,
    )
