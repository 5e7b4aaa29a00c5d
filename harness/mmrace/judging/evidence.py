# SPDX-License-Identifier: GPL-2.0-only
"""All that one run left, read; and what it may amount to."""

from dataclasses import dataclass, field
from functools import cached_property

from mmrace.crash import Crash
from mmrace.definitions.race import Race, Signature, Workload
from mmrace.judging.channel import Channel, Iteration, TimeIndex, second_of
from mmrace.judging.signature import in_output
from mmrace.outcome import Outcome, VmEnd, WindowCount


@dataclass(frozen=True)
class Evidence:
    """All that one run left.

    The time indexes say when (seconds since QEMU's start) the byte at an offset had come;
    ``message`` is what QEMU or the harness said about the end. If the console was read already,
    ``crashes`` are its crashes, and ``shown`` the numbers of the race's signatures whose title and
    report a crash has. ``held``: vCPUs were held, so that reports of watchdogs (stalls, lockups,
    hung tasks) are no failures unless they are the race's own. ``since``: bytes of the console that
    came before the machine was taken back to its race's start.
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
    """A possible outcome; ``second``: when it showed, on the host's clock."""

    outcome: Outcome
    title: str = ""
    matched: bool = False
    second: float | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Case:
    """Evidence, read."""

    evidence: Evidence
    channel: Channel
    crashes: list[Crash] = field(default_factory=list)  # those that count
    notes: list[str] = field(default_factory=list)
    _fits: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def output(self) -> str:
        """What the workload said, all lines."""
        return "\n".join(line.text for line in self.channel.output)

    def output_matches(self, signature: Signature) -> bool:
        """Whether a signature's words are in what the workload said; looked for once."""
        if signature.output not in self._fits:
            self._fits[signature.output] = in_output(signature, self.output)
        return self._fits[signature.output]

    def output_of(self, item: Iteration) -> list[str]:
        """What the workload said in one iteration."""
        ends = [other.offset for other in self.channel.iterations if other.offset < item.offset]
        begun = max(ends, default=0)
        return [line.text for line in self.channel.output if begun < line.offset < item.offset]

    def second(self, offset: int) -> float | None:
        """When a byte of the channel came."""
        return second_of(self.evidence.channel_times, offset)
