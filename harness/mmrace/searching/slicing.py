# SPDX-License-Identifier: GPL-2.0-only
"""Orders sliced out of all accesses before a kernel's report.

A report is about memory that the vCPU looked at last. Another vCPU has worked on that memory
before, perhaps long before. While it did, the two accessed some words in turn, and at least one of
them stored. These conflicts are all that one vCPU can have seen of the other, so the cause is among
them. This is dynamic slicing (Agrawal and Horgan, 1990) over the words that vCPUs share.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise, product

from mmrace.definitions.witness import Step
from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import going_on, in_turn
from mmrace.windows.search import Trace

LAST = 64  # accesses before a report that show what it is about
LINE_SHIFT = 6  # log2 of the bytes that are taken for one object
OBJECTS = 5  # objects, at most, whose history is looked at
PAUSES = (0.002, 0.01, 0.06)  # seconds without an access to an object that end an operation on it
HEADS = 2  # places, at most, of each kind, at which a vCPU may wait for an operation to begin
HEAD_ACCESSES, HEAD_SECONDS = 100, 0.1  # before that, for either kind
STANDS = 2  # places, at most, of each kind, at which a vCPU may stand at a switch
SWITCHES = 4  # in an order, at most


@dataclass(frozen=True)
class Conflict:
    """Two accesses of one word by different vCPUs, one after the other; at least one stores."""

    first: Trace
    second: Trace


@dataclass(frozen=True)
class Operation:
    """What one vCPU did to an object without a pause; ``begin`` and ``end`` in seconds."""

    vcpu: int
    begin: float
    end: float


@dataclass(frozen=True)
class Switch:
    """Accesses at one of which a vCPU stands, and the vCPU that goes on meanwhile."""

    stands: tuple[Trace, ...]
    to: int


def _time(one: Trace) -> float:
    return one.time


class Slice:
    """The accesses before one report."""

    def __init__(
        self,
        traces: Sequence[Trace],
        failed: int,
        function: Callable[[int], str],
        stack: int = 0,
    ) -> None:
        """``traces``: all accesses before the report, in order of time; ``failed``: its vCPU.

        ``function``: that of an access at which an actor may stand, "" for other accesses.
        ``stack``: that of the report; other tasks may have run on the vCPU shortly before.
        """
        self._traces = traces
        self._failed = failed
        self._function = function
        own = [one for one in traces if one.vcpu == failed]
        self._last = ([one for one in own if one.stack == stack] or own)[-LAST:]
        self._visits = Counter(one.address for one in traces)
        self._objects: dict[int, list[Trace]] = defaultdict(list)
        self._stands: dict[int, list[Trace]] = defaultdict(list)
        # What was reached at the end only may be the report's own code: no place on the way to it.
        late = Counter(one.address for one in self._last)
        for one in traces:
            self._objects[one.word >> LINE_SHIFT].append(one)
            if function(one.address) and self._visits[one.address] > late[one.address]:
                self._stands[one.vcpu].append(one)

    def orders(self, name: Callable[[int], str]) -> Iterator[Steps]:
        """Orders that may cause the failure, the likeliest first.

        ``name``: returns the point behind an access, "" for none.
        """
        ways = [self._about(number, name) for number in self._suspects()]
        yield from in_turn(*ways[:1], in_turn(*ways[1:]))  # half of them of the likeliest object

    def _about(self, number: int, name: Callable[[int], str]) -> Iterator[Steps]:
        """Orders about one object.

        In turn with what the two vCPUs saw of each other during an operation: where they saw
        nothing, one of them may have stood all the while, and made its accesses before.
        """
        operations = dict.fromkeys(self._operations(number))
        seen = {operation: self._conflicts(operation, 0) for operation in operations}
        during = (self._orders(one, conflicts, name) for one, conflicts in seen.items())
        standing = (
            self._orders(one, self._conflicts(one, HEAD_SECONDS), name)
            for one, conflicts in seen.items()
            if not conflicts
        )
        yield from in_turn(chain.from_iterable(during), chain.from_iterable(standing))

    def _suspects(self) -> list[int]:
        """Objects that the report may be about, the one accessed last first."""
        last = dict.fromkeys(one.word >> LINE_SHIFT for one in reversed(self._last))
        return [number for number in last if self._is_shared(self._objects[number])][:OBJECTS]

    def _is_shared(self, accesses: Sequence[Trace]) -> bool:
        others = any(one.vcpu != self._failed for one in accesses)
        return others and any(one.store for one in accesses)

    def _operations(self, number: int) -> Iterator[Operation]:
        """The last operation of another vCPU on an object, by different notions of a pause."""
        others = [one for one in self._objects[number] if one.vcpu != self._failed]
        vcpu = others[-1].vcpu
        times = [one.time for one in reversed(others) if one.vcpu == vcpu]
        for pause in PAUSES:
            begin = times[0]
            for later, earlier in pairwise(times):
                if later - earlier > pause:
                    break
                begin = earlier
            yield Operation(vcpu, begin, times[0])

    def _orders(
        self, operation: Operation, conflicts: Sequence[Conflict], name: Callable[[int], str]
    ) -> Iterator[Steps]:
        """Orders of the switches during an operation: in turn with many and with few of them."""
        switches = [one for one in self._switches(operation, conflicts) if one.stands]
        lengths = range(min(SWITCHES, len(switches)), 0, -1)
        yield from in_turn(
            *(self._of_length(switches, length, operation, name) for length in lengths)
        )

    def _of_length(
        self,
        switches: Sequence[Switch],
        length: int,
        operation: Operation,
        name: Callable[[int], str],
    ) -> Iterator[Steps]:
        for at in range(len(switches) - length, -1, -1):
            yield from self._variants(switches[at : at + length], operation, name)

    def _switches(self, operation: Operation, conflicts: Sequence[Conflict]) -> Iterator[Switch]:
        turns = [tuple(turn) for _, turn in groupby(conflicts, key=lambda one: one.second.vcpu)]
        ends = [*(turn[0].second.time for turn in turns[1:]), operation.end]
        for turn, end in zip(turns, ends, strict=False):
            yield self._switch(turn, end)

    def _conflicts(self, operation: Operation, before: float) -> list[Conflict]:
        """Conflicts whose second access is made during an operation, in order of that access.

        ``before``: how long before the operation the first access may have been made, in seconds.
        """
        latest: dict[int, Trace] = {}
        found = []
        begin = bisect_left(self._traces, operation.begin - before, key=_time)
        end = bisect_right(self._traces, operation.end, key=_time)
        for one in self._traces[begin:end]:
            other = latest.get(one.word)
            conflicts = other and other.vcpu != one.vcpu and (other.store or one.store)
            if other and conflicts and one.time >= operation.begin:
                found.append(Conflict(other, one))
            latest[one.word] = one
        return found

    def _switch(self, turn: Sequence[Conflict], end: float) -> Switch:
        """Where a vCPU may stand during another one's turn of conflicting accesses.

        That is after its own accesses that conflict with the turn, and before ``end``, when its own
        next turn begins. Where it was when the turn began, it may have held a lock that the other
        one waited for; later it did not.
        """
        begin, vcpu = turn[0].second.time, turn[0].first.vcpu
        own = self._stands[vcpu]
        times = (max(one.first.time for one in turn), begin, end)
        low, middle, high = (bisect_left(own, time, key=_time) for time in times)
        later = self._rarest(own[middle:high], begin)[:STANDS]
        earlier = self._rarest(own[low:middle], begin)[:STANDS]
        return Switch((*later, *earlier), turn[0].second.vcpu)

    def _variants(
        self, switches: Sequence[Switch], operation: Operation, name: Callable[[int], str]
    ) -> Iterator[Steps]:
        """Orders of these switches, after which the last vCPU goes on.

        Where the first vCPU has to be far enough in its work before the operation begins, the order
        needs a step before it; so there are orders with such a step and without.
        """
        heads = self._heads(switches[0].to, operation.begin)
        for head in (*((one,) for one in heads), ()):
            for chosen in product(*(switch.stands for switch in switches)):
                steps = _steps((*head, *chosen), name)
                if steps:
                    yield (*steps, going_on(f"V{switches[-1].to}"))

    def _heads(self, vcpu: int, time: float) -> list[Trace]:
        """Accesses of a vCPU before it begins an operation: of the same task, and of any task."""
        own = self._stands[vcpu]
        low, high = (bisect_left(own, at, key=_time) for at in (time - HEAD_SECONDS, time))
        at = bisect_left(self._traces, time, key=_time)
        while self._traces[at].vcpu != vcpu:
            at += 1
        stack = self._traces[at].stack
        last = own[max(0, high - HEAD_ACCESSES) : high]
        ways = ([one for one in last if one.stack == stack], own[low:high])
        return list(dict.fromkeys(in_turn(*(self._rarest(way, time)[:HEADS] for way in ways))))

    def _rarest(self, accesses: Sequence[Trace], time: float) -> list[Trace]:
        """One access of each function: the rarest first, of these the nearest to a time.

        A vCPU that is to stand at an access that is made often would stand where it is made first.
        """
        near = sorted(accesses, key=lambda one: abs(one.time - time))
        found: dict[str, Trace] = {}
        for one in sorted(near, key=lambda one: self._rarity(one.address)):
            found.setdefault(self._function(one.address), one)
        return list(found.values())

    def _rarity(self, address: int) -> int:
        """Visits of an access in powers of two; one that was made once may never be made again."""
        visits = self._visits[address]
        return visits.bit_length() if visits > 1 else self._visits.total().bit_length()


def _steps(accesses: Sequence[Trace], name: Callable[[int], str]) -> Steps:
    """A step for each access; none when an access has no name."""
    points = [name(one.address) for one in accesses]
    if not all(points):
        return ()
    return tuple(
        Step(actor=f"V{one.vcpu}", point=(point,))
        for one, point in zip(accesses, points, strict=True)
    )
