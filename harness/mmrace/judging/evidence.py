# SPDX-License-Identifier: GPL-2.0-only
"""Everything that one run left, parsed, and the outcomes that it may lead to."""

from dataclasses import dataclass, field
from functools import cached_property

from mmrace.crash import Crash
from mmrace.definitions.race import Race, Signature, Workload
from mmrace.judging.channel import Channel, Iteration, TimeIndex, second_of
from mmrace.judging.signature import in_output
from mmrace.outcome import Outcome, VmEnd, WindowCount


@dataclass(frozen=True)
class Evidence:
    """Everything that one run left.

    The time indexes map offsets (bytes) to the time when that byte arrived (seconds since QEMU's
    start). ``message``: what QEMU or mmrace reported about the end. If the console was parsed
    already, ``crashes`` are its crashes, and ``shown`` the indices of the race's signatures that a
    crash matches by title and report. ``held``: vCPUs were held, so that watchdog reports (stalls,
    lockups, hung tasks) are no failures unless they are the race's own. ``since``: length of the
    console (bytes) when the snapshot was restored.
    """

    race: Race
    workload: Workload
    end: VmEnd
    console: bytes
    channel: bytes
    console_times: TimeIndex = ()
    channel_times: TimeIndex = ()
    windows: tuple[WindowCount, ...] = ()
    message: str = ""
    crashes: tuple[Crash, ...] | None = None
    shown: frozenset[int] | None = None
    held: bool = False
    since: int = 0


@dataclass(frozen=True)
class Finding:
    """A possible outcome; ``second``: when it showed, in seconds since QEMU's start."""

    outcome: Outcome
    title: str = ""
    matched: bool = False
    second: float | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Case:
    """Parsed evidence."""

    evidence: Evidence
    channel: Channel
    crashes: list[Crash] = field(default_factory=list)  # that may decide the outcome
    notes: list[str] = field(default_factory=list)
    _fits: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def output(self) -> str:
        """The workload's output, all lines."""
        return "\n".join(line.text for line in self.channel.output)

    def output_matches(self, signature: Signature) -> bool:
        """Whether a signature's words are in the workload's output; cached."""
        if signature.output not in self._fits:
            self._fits[signature.output] = in_output(signature, self.output)
        return self._fits[signature.output]

    def output_of(self, item: Iteration) -> list[str]:
        """The workload's output in one iteration, by lines."""
        ends = [other.offset for other in self.channel.iterations if other.offset < item.offset]
        begun = max(ends, default=0)
        return [line.text for line in self.channel.output if begun < line.offset < item.offset]

    def second(self, offset: int) -> float | None:
        """Seconds from QEMU's start to the arrival of a byte of the channel; None if unknown."""
        return second_of(self.evidence.channel_times, offset)
