# SPDX-License-Identifier: GPL-2.0-only
"""Orders sliced out of all accesses before a kernel's report.

A report is about memory that the vCPU looked at last. Another vCPU has worked on that memory
before, perhaps long before. While it did, the two accessed some words in turn, and at least one of
them stored. These conflicts are all that one vCPU can have seen of the other, so the cause is among
them. This is dynamic slicing (Agrawal and Horgan, 1990) over the words that vCPUs share.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice, product
from typing import TYPE_CHECKING, TypeAlias

from mmrace.definitions.witness import Step
from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import going_on, in_turn
from mmrace.lazy import Lazy
from mmrace.windows.traces import Trace, Traces

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = Lazy("numpy")

LAST = 64  # accesses before a report that show what it is about
LINE_SHIFT = 6  # log2 of the bytes that are taken for one object
OBJECTS = 5  # objects, at most, whose history is looked at
PAUSES = (0.002, 0.01, 0.06)  # seconds without an access to an object that end an operation on it
HEADS = 2  # places, at most, of each kind, at which a vCPU may wait for an operation to begin
HEAD_ACCESSES, HEAD_SECONDS = 100, 0.1  # before that, for either kind
STANDS = 2  # places, at most, of each kind, at which a vCPU may stand at a switch
SWITCHES = 4  # in an order, at most


Indices: TypeAlias = "npt.NDArray[np.int64]"  # of accesses, in order of time


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


class Slice:
    """The accesses before one report."""

    def __init__(
        self, traces: Traces, failed: int, function: Callable[[int], str], stack: int = 0
    ) -> None:
        """``traces``: all accesses before the report; ``failed``: its vCPU.

        ``function``: that of an access at which an actor may stand, "" for other accesses.
        ``stack``: that of the report; other tasks may have run on the vCPU shortly before.
        """
        self._traces = traces
        self._failed = failed
        rows = traces.rows
        self._times, self._vcpus, self._words, self._stacks = (
            np.ascontiguousarray(rows[name]) for name in ("time", "vcpu", "word", "stack")
        )
        self._stores = rows["store"] != 0
        self._objects = self._words >> np.uint64(LINE_SHIFT)
        own = np.flatnonzero(self._vcpus == failed)
        task = own[self._stacks[own] == stack]
        self._last: Indices = (task if len(task) else own)[-LAST:]
        addresses, access, visits = np.unique(
            rows["address"], return_inverse=True, return_counts=True
        )
        self._rarity = _rarities(visits)[access]
        names = [function(address) for address in addresses.tolist()]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(["", *names]))}
        self._functions = np.array([numbers[name] for name in names], np.int64)[access]
        # What was reached at the end only may be the report's own code: no place on the way to it.
        late = np.bincount(access[self._last], minlength=len(addresses))
        may_stand = (self._functions > 0) & (visits > late)[access]
        self._stands = {
            vcpu: np.flatnonzero(may_stand & (self._vcpus == vcpu))
            for vcpu in np.unique(self._vcpus).tolist()
        }

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
        last = dict.fromkeys(self._objects[self._last[::-1]].tolist())
        return list(islice(filter(self._is_shared, last), OBJECTS))

    def _is_shared(self, number: int) -> bool:
        accesses = self._objects == number
        others = self._vcpus[accesses] != self._failed
        return bool(others.any() and self._stores[accesses].any())

    def _operations(self, number: int) -> Iterator[Operation]:
        """The last operation of another vCPU on an object, by different notions of a pause."""
        others = np.flatnonzero((self._objects == number) & (self._vcpus != self._failed))
        vcpu = int(self._vcpus[others[-1]])
        times = self._times[others[self._vcpus[others] == vcpu]]
        for pause in PAUSES:
            (begins,) = np.nonzero(np.diff(times, prepend=-np.inf) > pause)
            yield Operation(vcpu, float(times[begins[-1]]), float(times[-1]))

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
        begin = np.searchsorted(self._times, operation.begin - before)
        end = np.searchsorted(self._times, operation.end, "right")
        by_word = begin + np.argsort(self._words[begin:end], kind="stable")
        first, second = by_word[:-1], by_word[1:]
        found = (
            (self._words[first] == self._words[second])
            & (self._vcpus[first] != self._vcpus[second])
            & (self._stores[first] | self._stores[second])
            & (self._times[second] >= operation.begin)
        )
        pairs = sorted(zip(second[found].tolist(), first[found].tolist(), strict=True))
        return [Conflict(self._traces[one], self._traces[other]) for other, one in pairs]

    def _switch(self, turn: Sequence[Conflict], end: float) -> Switch:
        """Where a vCPU may stand during another one's turn of conflicting accesses.

        That is after its own accesses that conflict with the turn, and before ``end``, when its own
        next turn begins. Where it was when the turn began, it may have held a lock that the other
        one waited for; later it did not.
        """
        begin = turn[0].second.time
        own = self._stands[turn[0].first.vcpu]
        times = (max(one.first.time for one in turn), begin, end)
        low, middle, high = np.searchsorted(self._times[own], times)
        later = self._rarest(own[middle:high], begin, STANDS)
        earlier = self._rarest(own[low:middle], begin, STANDS)
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
        low, high = np.searchsorted(self._times[own], (time - HEAD_SECONDS, time))
        at = np.searchsorted(self._times, time)
        stack = self._stacks[at + np.argmax(self._vcpus[at:] == vcpu)]
        last = own[max(0, high - HEAD_ACCESSES) : high]
        ways = (last[self._stacks[last] == stack], own[low:high])
        return list(dict.fromkeys(in_turn(*(self._rarest(way, time, HEADS) for way in ways))))

    def _rarest(self, accesses: Indices, time: float, count: int) -> list[Trace]:
        """One access of each function: the rarest first, of these the nearest to a time.

        A vCPU that is to stand at an access that is made often would stand where it is made first.
        """
        near = np.abs(self._times[accesses] - time)
        ordered = accesses[np.lexsort((near, self._rarity[accesses]))]
        _, firsts = np.unique(self._functions[ordered], return_index=True)
        return [self._traces[at] for at in ordered[np.sort(firsts)[:count]].tolist()]


def _rarities(visits: Indices) -> Indices:
    """Numbers of visits in powers of two; an access made once may never be made again."""
    return np.frexp(np.where(visits > 1, visits, visits.sum()))[1]


def _steps(accesses: Sequence[Trace], name: Callable[[int], str]) -> Steps:
    """A step for each access; none when an access has no name."""
    points = [name(one.address) for one in accesses]
    if not all(points):
        return ()
    return tuple(
        Step(actor=f"V{one.vcpu}", point=(point,))
        for one, point in zip(accesses, points, strict=True)
    )
