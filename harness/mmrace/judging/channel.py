# SPDX-License-Identifier: GPL-2.0-only
"""The result channel of a run (docs/architecture.md), as values.

Whatever is torn, cut off or not understood is left out and counted; nothing here raises.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

TimeIndex = tuple[tuple[float, int], ...]


class Result(StrEnum):
    """What KTAP says of one iteration."""

    OK = "ok"
    NOT_OK = "not ok"
    SKIP = "skip"


@dataclass(frozen=True)
class Iteration:
    """One execution of the workload.

    ``exit_code`` is negative for a signal, None where the line does not say. ``offset`` is where
    its line begins in the channel.
    """

    number: int
    result: Result
    exit_code: int | None
    seconds: float | None
    offset: int


@dataclass(frozen=True)
class Said:
    """A line of the workload's output, and where it begins in the channel."""

    offset: int
    text: str


@dataclass(frozen=True)
class Channel:
    """All that the guest reported.

    ``started`` and ``raced`` are offsets of the first such line, None when there was none.
    ``counters`` are summed over the iterations, PID 1's own are since the start. ``before`` and
    ``after`` are the invariants. ``bailed``: why the guest could not be set up. ``complete``: the
    end marker came. ``cut``: iterations that were ended because the time was over. ``missed``: what
    a reproducer asked for and the guest did not have. ``torn``: lines that are not of the protocol.
    """

    release: str = ""
    name: str = ""
    started: int | None = None
    raced: int | None = None
    iterations: tuple[Iteration, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    failures: tuple[Said, ...] = ()
    output: tuple[Said, ...] = ()
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    bailed: str = ""
    complete: bool = False
    cut: int = 0
    missed: tuple[str, ...] = ()
    torn: int = 0

    @property
    def passed(self) -> int:
        """Iterations that passed."""
        return sum(1 for item in self.iterations if item.result is Result.OK)

    @property
    def executions(self) -> int:
        """Iterations that ended, whatever their exit code, or were cut."""
        return self.cut + sum(1 for item in self.iterations if item.result is not Result.SKIP)


def second_of(times: TimeIndex, offset: int) -> float | None:
    """When the byte at ``offset`` had come, in seconds since QEMU's start; None if not known."""
    found = bisect_right(times, offset, key=lambda pair: pair[1])
    return times[found - 1][0] if found else None


_RESULT = re.compile(
    r"(?P<result>ok|not ok) (?P<number>\d+)(?: -)?(?: (?P<name>[^#]*?))?"
    r"(?:\s*# ?(?P<note>.*))?$"
)
_FIELD = re.compile(r"(exit|signal|seconds)=(-?\d+(?:\.\d+)?)(?=\s|$)")
_COUNT = re.compile(r"# count (\S+) (\d+)$")
_INVARIANT = re.compile(r"# invariant (\S+) (-?\d+)$")
_SAID_COUNT = re.compile(r"mmrace: count (\S+) (\d+)$")
_SUMMARY = re.compile(r"(passed|failed|broken|skipped)\s+(\d+)$")
_PROTOCOL = re.compile(
    r"# (?:cut|note|release|start|out|window|alive)\b|KTAP version \d|\d+\.\.\d+$|$"
)
_QUOTED = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


class _Reader:
    """State while the lines are read."""

    def __init__(self) -> None:
        self.release = self.name = ""
        self.started: int | None = None
        self.raced: int | None = None
        self.iterations: list[Iteration] = []
        self.summed: dict[str, int] = {}  # over the iterations that ended
        self.latest: dict[str, int] = {}  # of the iteration that runs
        self.counted: dict[str, int] = {}  # by PID 1
        self.failures: list[Said] = []
        self.output: list[Said] = []
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.bailed = ""
        self.complete = False
        self.cut = 0
        self.missed: list[str] = []
        self.summary = False
        self.torn = 0

    def line(self, text: str, offset: int) -> None:
        """Read one whole line."""
        if text.startswith("# out "):
            self.said(_unquote(text[6:]), offset)
        elif match := _COUNT.match(text):
            self.counted[match[1]] = int(match[2])
        elif match := _INVARIANT.match(text):
            (self.before if self.started is None else self.after)[match[1]] = int(match[2])
        elif match := _RESULT.match(text):
            self.iteration(match, offset)
        elif text.startswith("# start") and self.started is None:
            self.started, self.name = offset, text[8:].strip()
        elif text.startswith("# release "):
            self.release = text[10:].strip()
        elif text.startswith("Bail out! "):
            self.bailed = _unquote(text[10:])
        elif text == "# end":
            self.complete = True
        elif text.startswith("# cut "):
            self.cut += 1
        elif text.startswith("# missed "):
            self.missed.append(_unquote(text[9:]))
        elif not _PROTOCOL.match(text):
            self.torn += 1

    def said(self, text: str, offset: int) -> None:
        """Read a line of the workload's output."""
        self.output.append(Said(offset, text))
        if match := _SAID_COUNT.match(text):
            self.latest[match[1]] = max(int(match[2]), self.latest.get(match[1], 0))
        elif text.startswith("mmrace: fail"):
            self.failures.append(Said(offset, text[13:].strip()))
        elif text == "mmrace: race":
            self.raced = offset if self.raced is None else self.raced
        elif text.strip() == "Summary:":
            self.summary = True
        elif self.summary and (match := _SUMMARY.match(text)):
            self.latest[f"ltp:{match[1]}"] = int(match[2])
        elif self.summary and not text.startswith("warnings"):
            self.summary = False

    def iteration(self, match: re.Match[str], offset: int) -> None:
        """Read the end of an iteration, and add up its counters."""
        note = match["note"] or ""
        fields = dict(_FIELD.findall(note))
        code = int(float(fields["exit"])) if "exit" in fields else None
        if "signal" in fields:
            code = -int(float(fields["signal"]))
        result = Result(match["result"])
        if result is Result.OK and note.upper().startswith("SKIP"):
            result = Result.SKIP
        seconds = float(fields["seconds"]) if "seconds" in fields else None
        self.iterations.append(Iteration(int(match["number"]), result, code, seconds, offset))
        self.settle()

    def settle(self) -> None:
        """Add the counters of an iteration that is over."""
        for name, value in self.latest.items():
            self.summed[name] = self.summed.get(name, 0) + value
        self.latest = {}
        self.summary = False


def _unquote(text: str) -> str:
    """Take back PID 1's quoting of bytes that are not printable."""
    if "\\" not in text:
        return text
    plain = _QUOTED.sub(lambda match: chr(int(match[1], 16)) if match[1] else "\\", text)
    return plain.encode("latin-1", "replace").decode(errors="replace")


def parse(data: bytes) -> Channel:
    """Read the result channel; the last line counts only when its end came."""
    reader = _Reader()
    offset = 0
    for raw in data.splitlines(keepends=True):
        if raw.endswith(b"\n"):
            text = raw.replace(b"\0", b"").decode(errors="replace").rstrip("\r\n")
            reader.line(text, offset)
        offset += len(raw)
    reader.settle()
    passed = sum(1 for item in reader.iterations if item.result is Result.OK)
    counters = {**reader.summed, **reader.counted, "iterations": passed}
    return Channel(
        release=reader.release,
        name=reader.name,
        started=reader.started,
        raced=reader.raced,
        iterations=tuple(reader.iterations),
        counters=counters,
        failures=tuple(reader.failures),
        output=tuple(reader.output),
        before=reader.before,
        after=reader.after,
        bailed=reader.bailed,
        complete=reader.complete,
        cut=reader.cut,
        missed=tuple(reader.missed),
        torn=reader.torn,
    )
