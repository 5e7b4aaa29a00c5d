# SPDX-License-Identifier: GPL-2.0-only
"""Orders sliced out of the accesses before a report."""

import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes.searched import step
from mmrace.errors import InfraError
from mmrace.hunting.minimise import Steps
from mmrace.runs.record import RunDir
from mmrace.runs.traces import read_traces, write_traces
from mmrace.searching.slicing import HEAD_ACCESSES, LAST, OBJECTS, Slice
from mmrace.windows.search import StepKind
from mmrace.windows.traces import Trace, Traces

PAGE, TREE, NOISE = 0x1000, 0x2000, 0x3000
MOVER, EXEC = 0, 1
# Accesses by number, as functions: the mover looks the page up, walks the tree, copies, walks the
# tree once more; exec enters, changes the tree, moves on, and reads the page at last.
LOOKUP, WALK, COPY, AGAIN, DONE, ENTER, CHANGE, MOVE, READ, TICK = range(1, 11)


def name(address: int) -> str:
    return f"at f{address}+0x0"


def history() -> Iterator[Trace]:
    """A page that is moved while exec changes the tree in which the mover looks for it twice."""

    def at(time: float, vcpu: int, address: int, word: int, store: bool = False) -> Trace:
        return Trace(time, address, word, vcpu, store)

    for early in (0.1, 0.2, 0.3):  # each place is visited more than once
        for number, place in enumerate((LOOKUP, COPY, DONE, ENTER, MOVE)):
            vcpu = MOVER if place in (LOOKUP, COPY, DONE) else EXEC
            yield at(early + number / 1000, vcpu, place, 64 * (99 + place))
    yield at(0.9, EXEC, ENTER, NOISE)
    yield at(1.0, MOVER, LOOKUP, PAGE, store=True)
    yield at(1.0001, MOVER, WALK, TREE)
    yield at(1.0002, MOVER, COPY, PAGE)
    yield at(1.0005, EXEC, CHANGE, TREE, store=True)
    yield at(1.0006, EXEC, MOVE, NOISE)
    yield at(1.0010, MOVER, AGAIN, TREE)
    yield at(1.0011, MOVER, DONE, PAGE, store=True)
    for number in range(LAST):  # long enough for the rest to be no code of the report
        yield at(1.1 + number / 1000, EXEC, TICK, 0x9000)
    yield at(1.3, EXEC, READ, PAGE)


TRACES = sorted(history(), key=lambda one: one.time)


def sliced(
    traces: Iterable[Trace], failed: int, function: Callable[[int], str], stack: int = 0
) -> Slice:
    return Slice(Traces.of(traces), failed, function, stack)


def places(order: Steps) -> list[str]:
    return [f"{step.actor} {step.point[0]}" if step.point else f"{step.actor} on" for step in order]


def test_an_order_holds_each_vcpu_while_the_other_has_its_turn() -> None:
    found = [places(order) for order in sliced(TRACES, EXEC, str).orders(name)]
    wanted = [
        f"V{EXEC} {name(ENTER)}",  # exec has not begun when the page is looked up
        f"V{MOVER} {name(COPY)}",  # after its first walk, before its second
        f"V{EXEC} {name(MOVE)}",  # has changed the tree
        f"V{MOVER} on",
    ]
    assert found[0] == wanted
    assert wanted[1:] in found


def test_orders_with_few_switches_come_in_turn_with_those_with_many() -> None:
    """Of the many there are too many: each place to stand multiplies them."""
    first, second, *_ = sliced(TRACES, EXEC, str).orders(name)
    assert len(places(second)) < len(places(first))


def test_an_actor_stands_only_in_functions_that_it_may() -> None:
    orders = list(sliced(TRACES, EXEC, lambda at: str(at) if at != COPY else "").orders(name))
    assert orders
    assert not any(name(COPY) in place for order in orders for place in places(order))


def test_what_only_one_vcpu_accessed_tells_nothing() -> None:
    alone = [one for one in TRACES if one.vcpu == EXEC]
    assert not list(sliced(alone, EXEC, str).orders(name))


def test_what_nobody_stored_to_tells_nothing() -> None:
    loads = [Trace(one.time, one.address, one.word, one.vcpu, False) for one in TRACES]
    assert not list(sliced(loads, EXEC, str).orders(name))


def test_an_access_that_is_made_everywhere_is_no_place_to_stand() -> None:
    # Nearer to the turn than COPY, but the mover makes it all the time.
    often = [Trace(0.4 + n / 1000, TICK, 0x9000 + n, MOVER, False) for n in range(100)]
    near = Trace(1.0003, TICK, 0x9000, MOVER, False)
    traces = sorted([*TRACES, *often, near], key=lambda one: one.time)
    first = next(sliced(traces, EXEC, str).orders(name))
    assert f"V{MOVER} {name(COPY)}" in places(first)


def test_a_vcpu_may_stand_during_the_whole_operation() -> None:
    # The mover looks at a link of the tree, stands, and looks at it once more when it is freed.
    early = [
        Trace(0.1 + n / 100, place, 64 * (99 + place), vcpu, False)
        for n in range(3)
        for place, vcpu in ((WALK, MOVER), (COPY, MOVER), (ENTER, EXEC))
    ]
    walk = [
        Trace(1.0, ENTER, NOISE, EXEC, False),
        Trace(1.001, WALK, TREE, MOVER, False),
        Trace(1.002, COPY, NOISE + 64, MOVER, False),
        Trace(1.01, CHANGE, TREE, EXEC, True),
        Trace(1.0101, MOVE, TREE, EXEC, True),
        Trace(1.02, AGAIN, TREE, MOVER, False),
    ]
    ticks = [Trace(0.5 + n / 1000, TICK, 0x9000, MOVER, False) for n in range(LAST)]
    found = [places(order) for order in sliced([*early, *ticks, *walk], MOVER, str).orders(name)]
    stand = [f"V{MOVER} {name(COPY)}", f"V{EXEC} on"]
    assert stand in found
    assert [f"V{EXEC} {name(ENTER)}", *stand] in found


def test_what_was_seen_earlier_comes_in_turn_with_what_was_seen_during_an_operation() -> None:
    # The report is also about a word that exec alone has accessed while the mover stored to it.
    more = [
        Trace(1.25, 40, 0xB000, EXEC, False),
        *(Trace(time, 42, NOISE, EXEC, False) for time in (1.05, 1.06, 1.255)),
        Trace(1.26, TICK, 0xB000, MOVER, True),
        Trace(1.31, 41, 0xB000, EXEC, False),
    ]
    traces = sorted([*TRACES, *more], key=lambda one: one.time)
    earlier, during, *_ = map(places, sliced(traces, EXEC, str).orders(name))
    assert f"V{EXEC} {name(42)}" in earlier
    assert during == places(next(sliced(TRACES, EXEC, str).orders(name)))


def test_half_of_the_orders_are_of_the_object_accessed_last() -> None:
    box = 0xC000  # another one, on which the mover worked while exec was at 52
    more = [
        *(Trace(time, 52, NOISE, EXEC, False) for time in (1.05, 1.06, 1.2007)),
        Trace(1.2, 50, box + 8, MOVER, False),
        Trace(1.2005, 51, box, EXEC, False),
        Trace(1.201, 50, box, MOVER, True),
        Trace(1.29, 53, box, EXEC, False),
    ]
    traces = sorted([*TRACES, *more], key=lambda one: one.time)
    found = [places(order) for order in sliced(traces, EXEC, str).orders(name)]
    about_box = [f"V{EXEC} {name(52)}" in order for order in found]
    assert about_box[:4] == [False, True, False, True]


def test_what_another_task_of_the_vcpu_did_last_tells_nothing() -> None:
    other = [Trace(1.31 + n / 1e4, TICK, 0xA000, EXEC, True, stack=7) for n in range(2 * LAST)]
    assert not list(sliced([*TRACES, *other], EXEC, str, 7).orders(name))
    found = [places(order) for order in sliced([*TRACES, *other], EXEC, str, 0).orders(name)]
    assert found == [places(order) for order in sliced(TRACES, EXEC, str, 0).orders(name)]
    assert found


def test_nobody_stands_in_the_code_of_the_report() -> None:
    # Exec reports what it has read, and the mover goes on with the page meanwhile.
    more = [
        Trace(1.31, 30, NOISE + 64, EXEC, False),
        Trace(1.32, DONE, PAGE, MOVER, True),
        Trace(1.33, 31, PAGE, EXEC, False),
        Trace(1.34, DONE, PAGE, MOVER, True),
        Trace(1.35, 31, PAGE, EXEC, False),
    ]
    traces = [*TRACES, *more]
    places_of = {
        place for order in sliced(traces, EXEC, str).orders(name) for place in places(order)
    }
    assert places_of
    assert not places_of & {f"V{EXEC} {name(at)}" for at in (30, 31)}


def test_an_order_without_a_name_for_a_place_is_left_out() -> None:
    found = {tuple(places(order)) for order in sliced(TRACES, EXEC, str).orders(name)}
    orders = sliced(TRACES, EXEC, str).orders(lambda at: "" if at == ENTER else name(at))
    rest = {tuple(places(order)) for order in orders}
    assert rest == {order for order in found if f"V{EXEC} {name(ENTER)}" not in order}
    assert 0 < len(rest) < len(found)


def test_who_is_to_begin_waits_on_the_way_to_its_operation() -> None:
    """Not only where it seldom comes: there it may be about anything."""
    way, rare = 31, range(40, 45)
    before = [
        Trace(begin + n / 1e5, address, 0x9000, EXEC, False)
        for begin in (0.4, 0.95)
        for n, address in enumerate((*rare, *[way] * HEAD_ACCESSES))
    ]
    traces = sorted((*TRACES, *before), key=lambda one: one.time)
    heads = {places(order)[0] for order in sliced(traces, EXEC, str).orders(name)}
    assert f"V{EXEC} {name(way)}" in heads


def test_few_objects_are_looked_at() -> None:
    many = [
        Trace(2 + n / 1e5 + vcpu / 1e6, 20 + vcpu, 0x9000 + 64 * n, vcpu, True)
        for n in range(3 * OBJECTS)
        for vcpu in (MOVER, EXEC)
    ]
    traces = [*TRACES, *many]
    assert not list(sliced(traces, EXEC, str).orders(name))  # the page is too long ago


class Marked:
    """A director whose kernel printed at some times, and whose ring has all accesses."""

    def __init__(self, *marks: float) -> None:
        log = [step(time, EXEC, StepKind.MARK) for time in marks]
        self.searched = lambda: SimpleNamespace(log=log)

    def traces(self, since: float) -> Traces:
        times = (0.1, 1.0, 1.9, 3.0, 3.5)
        return Traces.of(Trace(time, 1, 2, 0, True) for time in times if time >= since)


@pytest.mark.parametrize(
    ("marks", "kept"),
    [
        ((0.05, 2.0, 2.1), [1.9]),  # what was printed long before is no report
        ((2.0, 3.1), [1.9, 3.0]),  # a storm of reports: the first counts
        ((), []),
    ],
)
def test_the_accesses_before_the_first_report_are_kept(
    tmp_path: Path, marks: tuple[float, ...], kept: list[float]
) -> None:
    write_traces(tmp_path, Marked(*marks))
    assert [one.time for one in read_traces(RunDir(tmp_path))] == kept


def test_a_storm_of_reports_costs_no_look_at_all_of_them_for_each_access(tmp_path: Path) -> None:
    director = Marked(*(5 + number / 1e5 for number in range(20_000)))
    many = [Trace(5 + number / 1e5, 1, 2, MOVER, False) for number in range(20_000)]
    director.traces = lambda _since: Traces.of(many)
    begun = time.process_time()
    write_traces(tmp_path, director)
    assert time.process_time() - begun < 2  # 98 s were measured, of 2 million accesses
    assert len(read_traces(RunDir(tmp_path))) == len(many)


def test_traces_are_read_as_they_were_written(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert not read_traces(run)
    packed = b"".join(
        struct.pack("<d3Q2H", one.time, one.address, one.word, one.stack, one.vcpu, one.store)
        for one in TRACES
    )
    (tmp_path / "search-traces.bin").write_bytes(zlib.compress(packed))
    assert list(read_traces(run)) == TRACES
    for broken in (zlib.compress(packed)[:-3], zlib.compress(packed[:-1])):
        (tmp_path / "search-traces.bin").write_bytes(broken)
        with pytest.raises(InfraError, match="no traces of a search"):
            read_traces(run)
