# SPDX-License-Identifier: GPL-2.0-only
"""What the director is to watch and to schedule by itself, and what came of it.

The layout is that of ``struct shared_search`` and what follows it in ``qemu/director/shared.h``.
"""

import mmap
import struct
from dataclasses import dataclass
from enum import IntEnum

from mmrace.windows.traces import KEPT_SIZE, Traces

SEARCH = struct.Struct("<20I16Q")
SITE = struct.Struct("<Q2IQ2I")
PAIR = struct.Struct("<4I3Q")
STEP = struct.Struct("<2Q3IH2B")
PAIRS, STEPS = 1 << 16, 1 << 15  # places: 2.6 MB and 1 MB
_SETTINGS = 20  # words of SEARCH that the harness writes
_MILLION = 1_000_000


class Strategy(IntEnum):
    """How a schedule chooses who runs (``enum shared_strategy``)."""

    SWITCH = 0
    MEET = 1
    PCT = 2


class StepKind(IntEnum):
    """Kind of an entry of the log (``enum shared_step_kind``)."""

    HELD = 1
    SWITCH = 2
    MEET = 3
    TIMEOUT = 4
    STUCK = 5
    GO = 6
    MARK = 7
    TRAIL = 8


@dataclass(frozen=True)
class Site:
    """An instruction that accesses memory, and the number of the function that it is in.

    ``stack``: its access only shows where the vCPU's stack is. ``traced``: it is only traced.
    """

    address: int
    group: int
    stack: bool = False
    traced: bool = False


@dataclass(frozen=True)
class Tactics:
    """How the director schedules; times in seconds, ``strategies`` are weights.

    ``hold``: range of the other vCPUs' activity that a hold lasts for; ``wall``: of its whole time
    at most, in which they may rest. ``stuck``: it ends when they do nothing else for so long.
    ``linger``: the longest time that a vCPU stays held after it was met.
    ``share``: the largest part of the race phase in which a vCPU may be held; 0 only watches.
    ``start_rate`` and ``switch_rate``: holds and switches in a second of a vCPU's activity.
    ``depth`` and ``length`` are those of PCT: ordering constraints, and first visits of sites
    among which its priorities change.
    """

    share: float = 0.5
    strategies: tuple[float, float, float] = (0.5, 0.4, 0.1)
    switches: int = 4
    hold: tuple[float, float] = (0.0004, 0.008)
    wall: float = 0.045
    stuck: float = 0.004
    linger: float = 0.002
    depth: int = 3
    length: int = 64
    start_rate: int = 4000
    switch_rate: int = 4000


WATCH = Tactics(share=0)


@dataclass(frozen=True)
class SearchPlan:
    """Sites by address, and what is to be done at them; ``groups`` numbers their functions.

    ``traces``: how many of the last accesses are kept, of all vCPUs together.
    """

    sites: tuple[Site, ...]
    groups: int
    tactics: Tactics = Tactics()
    stack_shift: int = 14
    traces: int = 0

    @property
    def holds(self) -> bool:
        """Whether vCPUs are held, not only watched."""
        return self.tactics.share > 0


@dataclass(frozen=True)
class Pair:
    """Two accesses of one word by two vCPUs, addresses of instructions in their order.

    ``gap`` in seconds is the shortest time between them, ``word`` the guest virtual address then.
    ``schedule``: the first schedule that showed it, 0 for none.
    """

    first: int
    second: int
    count: int
    stores: tuple[bool, bool]
    gap: float
    word: int
    schedule: int = 0


@dataclass(frozen=True)
class LogStep:
    """One entry of the search's log; ``time`` in host seconds since the first arming.

    ``count``: how often this vCPU was at the site in this schedule, from 1; where a hold ended by
    itself, the accesses that others made during it; of a trail, how often this vCPU was at the site
    in this boot. ``word``: the access's, of a mark the number of the stack that the vCPU was on.
    """

    time: float
    schedule: int
    vcpu: int
    kind: StepKind
    address: int
    count: int
    word: int
    strategy: Strategy


@dataclass(frozen=True)
class Counts:
    """Totals of one boot; ``held`` in seconds."""

    accesses: int
    pairs: int
    pairs_lost: int
    steps: int
    schedules: int
    by_strategy: tuple[int, int, int]
    holds: int
    met: int
    switched: int
    timeouts: int
    stuck: int
    held: float
    fruitful: int
    full: int


@dataclass(frozen=True)
class Searched:
    """What one boot's search saw and did: the last steps are in ``log``, oldest first."""

    counts: Counts
    pairs: tuple[Pair, ...]
    log: tuple[LogStep, ...]


def size(plan: SearchPlan) -> int:
    """Bytes of a plan's part of the state file."""
    return _traces(plan) + plan.traces * KEPT_SIZE


def _traces(plan: SearchPlan) -> int:
    """Offset of the traces in a plan's part, in bytes."""
    return SEARCH.size + len(plan.sites) * SITE.size + PAIRS * PAIR.size + STEPS * STEP.size


def encode_into(raw: bytearray, at: int, plan: SearchPlan) -> None:
    """Write a plan's part of the state file; sites have to be sorted by address."""
    tactics = plan.tactics
    total = sum(tactics.strategies) or 1.0
    numbers = (
        len(plan.sites),
        plan.groups,
        PAIRS,
        STEPS,
        plan.stack_shift,
        round(tactics.share * _MILLION),
        *(round(weight / total * _MILLION) for weight in tactics.strategies),
        tactics.switches,
        *(round(limit * _MILLION) for limit in tactics.hold),
        round(tactics.stuck * _MILLION),
        round(tactics.linger * _MILLION),
        tactics.depth,
        tactics.length,
        tactics.start_rate,
        tactics.switch_rate,
        round(tactics.wall * _MILLION),
        plan.traces,
    )
    SEARCH.pack_into(raw, at, *numbers, *([0] * 16))
    at += SEARCH.size
    for site in plan.sites:
        flags = site.stack + 2 * site.traced
        SITE.pack_into(raw, at, site.address, site.group, flags, 0, 0, 0)
        at += SITE.size


def decode(raw: mmap.mmap | bytes, at: int, plan: SearchPlan, begun: int) -> Searched:
    """Read what the director wrote; ``begun``: first arming, nanoseconds of its clock."""
    counts = _counts(SEARCH.unpack_from(raw, at)[_SETTINGS:])
    pairs = at + SEARCH.size + len(plan.sites) * SITE.size
    steps = pairs + PAIRS * PAIR.size
    found = (PAIR.unpack_from(raw, pairs + number * PAIR.size) for number in range(PAIRS))
    return Searched(
        counts,
        tuple(_pair(plan, fields) for fields in found if fields[2]),
        tuple(_log(raw, steps, plan, counts.steps, begun)),
    )


def decode_traces(
    raw: mmap.mmap | bytes, at: int, plan: SearchPlan, begun: int, since: float
) -> Traces:
    """Return the accesses kept from ``since`` on; ``since`` and times as in ``decode``."""
    first = at + _traces(plan)
    kept = raw[first : first + plan.traces * KEPT_SIZE]
    return Traces.decoded(kept, [site.address for site in plan.sites], begun, since)


def _counts(fields: tuple[int, ...]) -> Counts:
    accesses, pairs, lost, steps, schedules, *rest = fields
    holds, met, switched, timeouts, stuck, held_ns, fruitful, full = rest[3:]
    return Counts(
        accesses=accesses,
        pairs=pairs,
        pairs_lost=lost,
        steps=steps,
        schedules=schedules,
        by_strategy=(rest[0], rest[1], rest[2]),
        holds=holds,
        met=met,
        switched=switched,
        timeouts=timeouts,
        stuck=stuck,
        held=held_ns / 1e9,
        fruitful=fruitful,
        full=full,
    )


def _pair(plan: SearchPlan, fields: tuple[int, ...]) -> Pair:
    first, second, count, kinds, gap, word, since = fields
    return Pair(
        first=plan.sites[first].address,
        second=plan.sites[second].address,
        count=count,
        stores=(bool(kinds & 1), bool(kinds & 2)),
        gap=gap / 1e9,
        word=word,
        schedule=since,
    )


def _log(
    raw: mmap.mmap | bytes, at: int, plan: SearchPlan, total: int, begun: int
) -> list[LogStep]:
    found = []
    for number in range(max(0, total - STEPS), total):
        fields = STEP.unpack_from(raw, at + number % STEPS * STEP.size)
        when, word, schedule, site, count, vcpu, kind, strategy = fields
        if kind and site < len(plan.sites):
            found.append(
                LogStep(
                    time=(when - begun) / 1e9,
                    schedule=schedule,
                    vcpu=vcpu,
                    kind=StepKind(kind),
                    address=plan.sites[site].address,
                    count=count,
                    word=word,
                    strategy=Strategy(strategy),
                )
            )
    return sorted(found, key=lambda step: step.time)
