# SPDX-License-Identifier: GPL-2.0-only
"""The state file that harness and director both map.

The layout is that of ``qemu/director/shared.h``, which says what the fields mean.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from mmrace.symbols.resolve import Resolved
from mmrace.windows import search
from mmrace.windows.plan import Plan

MAGIC, VERSION, EVENTS, METER_SAMPLES = 0x44524D4D, 3, 8192, 4096
HEADER = struct.Struct("<8I3Q6I3QI20x")
WINDOW = struct.Struct("<2I7Q")
POINT = struct.Struct("<Q4IQ")
METER = struct.Struct(f"<2Q{METER_SAMPLES}Q")
EVENT = struct.Struct("<QI2H")
U32, U64 = struct.Struct("<I"), struct.Struct("<Q")
ARMED = struct.Struct("<2QI")  # armed_since, armed_before, armed
ARMED_AT, ATTACHED_AT, WATCHING_AT, EVENT_COUNT_AT, DELAY_NS_AT = 40, 68, 76, 80, 96
_MILLION = 1_000_000


class Role(IntEnum):
    """What reaching an address means (``enum shared_role``)."""

    GATE_ENTRY = 0
    GATE_CALL = 1
    UNTIL = 2
    METER_STOP = 3
    METER_START = 4
    HOLD = 5
    DELAY = 6
    MARK = 7


class EventKind(IntEnum):
    """Kind of an event of the timeline (``enum shared_event_kind``)."""

    HELD = 1
    MET = 2
    TIMEOUT = 3
    DELAY = 4
    UNTIL = 5


@dataclass(frozen=True, order=True)
class Entry:
    """One ``struct shared_point``; ``gate`` is 0 or 1 + its index."""

    address: int
    role: Role
    index: int
    gate: int = 0


@dataclass(frozen=True)
class Table:
    """All points of a plan in the file's order, and how many gates they use."""

    entries: tuple[Entry, ...]
    gates: int


def table(plan: Plan) -> Table:
    """List what is at which address."""
    entries: set[Entry] = set()
    gates = 0
    for role, index, resolved in _list_uses(plan):
        gate = 0
        if resolved.gate:
            entries |= {Entry(at, Role.GATE_CALL, gates) for at in resolved.gate.calls}
            entries |= {Entry(at, Role.GATE_ENTRY, gates) for at in resolved.gate.entries}
            gates += 1
            gate = gates
        entries |= {Entry(address, role, index, gate) for address in resolved.addresses}
    return Table(tuple(sorted(entries)), gates)


def _list_uses(plan: Plan) -> Iterator[tuple[Role, int, Resolved]]:
    for index, window in enumerate(plan.windows):
        yield Role.HOLD, index, window.hold
        yield Role.UNTIL, index, window.until
    for index, meter in enumerate(plan.meters):
        yield Role.METER_START, index, meter.start
        yield Role.METER_STOP, index, meter.stop
    for index, resolved in enumerate(plan.delays):
        yield Role.DELAY, index, resolved
    if plan.marks:
        yield Role.MARK, 0, plan.marks


class Layout:
    """Offsets of the file's parts, in bytes."""

    def __init__(self, plan: Plan) -> None:
        self.table = table(plan)
        self.n_points = len(self.table.entries)
        self.windows = HEADER.size
        self.points = self.windows + len(plan.windows) * WINDOW.size
        self.meters = self.points + self.n_points * POINT.size
        self.events = self.meters + len(plan.meters) * METER.size
        self.search = self.events + EVENTS * EVENT.size
        self.size = self.search + (search.size(plan.search) if plan.search else 0)


def encode(plan: Plan) -> bytes:
    """Write a plan as the file's initial content, not armed."""
    layout = Layout(plan)
    raw = bytearray(layout.size)
    counts = (len(plan.windows), layout.n_points, layout.table.gates, len(plan.meters), EVENTS)
    chance = round(plan.delay.probability * _MILLION) if plan.delay else 0
    share = round(plan.delay.share * _MILLION) if plan.delay else 0
    seed = plan.seed % 2**64
    numbers = (seed, 0, 0, 0, chance, share, 0, 0, 0, 0, 0, 0, int(plan.search is not None))
    HEADER.pack_into(raw, 0, MAGIC, VERSION, layout.size, *counts, *numbers)
    for number, item in enumerate(plan.windows):
        limits = (round(item.window.timeout * 1000), round(item.window.probability * _MILLION))
        at = layout.windows + number * WINDOW.size
        WINDOW.pack_into(raw, at, *limits, 0, 0, 0, 0, 0, 0, 0)
    for number, entry in enumerate(layout.table.entries):
        fields = (entry.address, entry.role, entry.index, entry.gate, 0, 0)
        POINT.pack_into(raw, layout.points + number * POINT.size, *fields)
    if plan.search:
        search.encode_into(raw, layout.search, plan.search)
    return bytes(raw)
