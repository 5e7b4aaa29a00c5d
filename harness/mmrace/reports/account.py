# SPDX-License-Identifier: GPL-2.0-only
"""One run, read once for all reports; and groups of runs that failed alike."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mmrace import crash
from mmrace.crash import Crash
from mmrace.crash.backtrace import Frame, parse_pointer
from mmrace.crash.helpers import SKIP
from mmrace.errors import UserError
from mmrace.judging import channel
from mmrace.judging.channel import Channel
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.host import Host
from mmrace.runs.record import RunDir, Spec, VmRecord

_HEADER_PLACE = re.compile(r"\bat ((?:\.?[\w+-]+/)*[\w+-]+\.[chS]:\d+)\b")
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile(r"\r+\n?")  # a serial console ends lines with more than one \\r
_HEADER_LINES = 4  # of a crash's report: in one of these it says "at FILE:LINE"


@dataclass(frozen=True)
class Place:
    """One step of a call trace, innermost first.

    ``location`` is ``file:line``, ``source`` that line, ``offset`` how far inside the function
    (``+0x1d1/0x250``); each is "" where not known. ``inlined``: the function is part of the next
    place's code.
    """

    function: str
    location: str = ""
    offset: str = ""
    inlined: bool = False
    source: str = ""


Traces = Mapping[str, Sequence[Place]]  # by run id


@dataclass(frozen=True)
class Account:
    """What a run directory holds, read.

    ``crash`` is the one that the outcome names. ``places`` is its trace, symbolised if the kernel's
    vmlinux was available.
    """

    run: RunDir
    spec: Spec
    vm: VmRecord
    judged: Judgement
    console: bytes
    channel: Channel
    crashes: tuple[Crash, ...]
    crash: Crash | None
    places: tuple[Place, ...] = ()

    @property
    def kernel(self) -> str:
        """Release and series, as people read them."""
        return f"{self.spec.release} {' + '.join(self.spec.series) or 'as it is'}"

    @property
    def title(self) -> str:
        """What happened, in a few words; never empty."""
        notes = self.judged.notes
        return self.judged.title or (notes[0] if notes else str(self.judged.outcome))

    @property
    def place(self) -> Place | None:
        """The function that matters, with the line it was at, be that of one inlined there.

        None when the kernel did not say.
        """
        if not self.crash:
            return None
        function = self.crash.function
        printed = _printed_place(self.console, self.crash)
        at = self._blamed
        if at is None:
            return Place(function, printed) if function or printed else None
        own, inner = self.places[at], self.places[at]
        for item in reversed(self.places[:at]):
            if not item.inlined:
                break
            inner = item
        return replace(own, location=inner.location or printed, source=inner.source)

    @property
    def _blamed(self) -> int | None:
        """Index of the function that matters in the trace."""
        names = [None if item.inlined else item.function for item in self.places]
        function = self.crash.function if self.crash else None
        return names.index(function) if function in names else None

    @property
    def callers(self) -> tuple[str, ...]:
        """Who called the function that matters, nearest first, without what only reports."""
        if not self.crash:
            return ()
        after = 0 if self._blamed is None else self._blamed + 1
        names = (item.function for item in self.places[after:])
        return tuple(name for name in names if name not in SKIP)

    @property
    def host(self) -> Host | None:
        """The worker that made the run; None when this host did."""
        return self.run.host()

    @property
    def again(self) -> str:
        """The command that makes the very same run again."""
        return shlex.join(["mmrace", "again", self.run.id])

    @property
    def elsewhere(self) -> str:
        """The command for another machine, where this run directory is not."""
        command = self.spec.command
        return command if "--seed" in command else f"{command} --seed {self.spec.seed}"

    @property
    def started(self) -> datetime | None:
        """When the run was made, as its id says; None when it says something else."""
        try:
            return datetime.strptime(self.run.id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def report(self) -> str:
        """Text of the crash; for a failure without one, what the workload said at its end."""
        if self.crash:
            text = printable(crash.report_text(self.console, self.crash))
            return "\n".join(line for line in text.split("\n") if line.strip())
        return printable("\n".join(line.text for line in self.channel.output[-40:]))


def read(run: RunDir, decoded: Sequence[Place] = ()) -> Account:
    """Read a run; ``decoded`` is its crash's trace with source lines, if it was made already.

    Raises UserError when the directory holds no run.
    """
    judged, console = run.judgement(), run.console()
    crashes = run.crashes()
    main = _main_crash(crashes, judged)
    plain = _trace(console, main) if main else ()
    notes = tuple(printable(note) for note in judged.notes)
    judged = replace(judged, title=printable(judged.title), notes=notes)
    return Account(
        run=run,
        spec=run.spec(),
        vm=run.vm(),
        judged=judged,
        console=console,
        channel=channel.parse(run.channel()),
        crashes=crashes,
        crash=main,
        places=tuple(decoded) or plain,
    )


def read_all(runs: Sequence[RunDir], decoded: Traces | None = None) -> list[Account]:
    """Read runs; ``decoded`` by run id."""
    if not runs:
        raise UserError("no runs to report on; `mmrace runs` lists what is there")
    return [read(run, (decoded or {}).get(run.id, ())) for run in runs]


def _main_crash(crashes: Sequence[Crash], judged: Judgement) -> Crash | None:
    """Choose the crash that the outcome is about."""
    named = [item for item in crashes if judged.title in (item.title, *item.alt_titles)]
    if named:
        return named[0]
    return crashes[0] if crashes and judged.outcome.failed and not judged.title else None


def _trace(console: bytes, found: Crash) -> tuple[Place, ...]:
    """The trace as printed; where the CPU was stands first even when only RIP names it."""
    places = [_undecoded(frame) for frame in found.frames if frame.reliable]
    for line in crash.report_text(console, found).splitlines():
        if "Call Trace" in line:
            break
        if pointer := parse_pointer(line):
            first = _undecoded(pointer)
            return (first, *places) if places[:1] != [first] else tuple(places)
    return tuple(places)


def _undecoded(frame: Frame) -> Place:
    """A frame as the kernel printed it."""
    offset = "" if frame.offset is None else f"+{frame.offset:#x}"
    size = "" if frame.size is None else f"/{frame.size:#x}"
    return Place(frame.function, frame.location, offset + size)


def _printed_place(console: bytes, found: Crash) -> str:
    """``file:line`` that the kernel itself printed in the first lines of a report."""
    for line in crash.report_text(console, found).splitlines()[:_HEADER_LINES]:
        if match := _HEADER_PLACE.search(line):
            return match[1]
    return ""


def printable(text: str) -> str:
    """Text without what a terminal would obey and XML cannot hold."""
    return _CONTROL.sub("", _LINE_END.sub("\n", text))


@dataclass(frozen=True)
class Group:
    """Runs that failed alike; ``title`` is that of the run to look at."""

    runs: tuple[Account, ...]

    @property
    def title(self) -> str:
        """What happened, in the words of one of them."""
        return self.first.title

    @property
    def cells(self) -> tuple[tuple[Account, ...], ...]:
        """The runs, those of one workload on one kernel together."""
        found: dict[tuple[str, str], list[Account]] = {}
        for item in self.runs:
            found.setdefault((item.spec.workload.name, item.kernel), []).append(item)
        return tuple(map(tuple, found.values()))

    @property
    def first(self) -> Account:
        """The run to look at: one whose report can be trusted, if there is one."""
        sound = [item for item in self.runs if item.crash and not item.crash.corrupted]
        return (sound or list(self.runs))[0]


def groups(accounts: Sequence[Account]) -> tuple[Group, ...]:
    """Failures by title, numbers aside; first what no race knows, crashes, the most frequent."""
    found: dict[tuple[str, str], list[Account]] = {}
    for item in accounts:
        if item.judged.outcome.failed:
            key = (item.spec.race.name, re.sub(r"\b\d+\b", "N", item.title))
            found.setdefault(key, []).append(item)
    made = [Group(tuple(items)) for items in found.values()]
    return tuple(sorted(made, key=_urgency))


def _urgency(group: Group) -> tuple[bool, bool, int]:
    judged = group.first.judged
    return judged.signature_matched, judged.outcome is not Outcome.CRASH, -len(group.runs)
