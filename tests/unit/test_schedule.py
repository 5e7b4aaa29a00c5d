# SPDX-License-Identifier: GPL-2.0-only
"""Recorded schedules, and the orders that may have caused a failure."""

from collections.abc import Iterable

from fakes.searched import NEAR, NO_RUN, searched, step
from mmrace.hunting.order import Hit
from mmrace.outcome import Judgement, Outcome
from mmrace.searching.boots import Boot
from mmrace.searching.proving import Suspects, seconds_between, variants
from mmrace.searching.schedule import recorded, report_of, schedules_before
from mmrace.searching.search import Failure
from mmrace.windows.search import LogStep, StepKind


def test_a_schedule_is_the_order_in_which_vcpus_stood() -> None:
    log = (
        step(0.1, 1, StepKind.HELD, 7),
        step(0.2, 1, StepKind.TIMEOUT, 7),
        step(1.0, 0, StepKind.HELD, 1, 2),
        step(1.001, 1, StepKind.MEET, 2, 2),
        step(1.002, 0, StepKind.TIMEOUT, 1, 2),
        step(5.0, 0, StepKind.HELD, 3, 3),
    )
    latest, first = recorded(log, 2.0)
    assert (latest.number, first.number) == (2, 1)
    assert latest.switches == 1
    assert latest.hits("a{}".format) == (Hit("V0", "a1"), Hit("V1", "a2"), Hit("V1", ""))
    assert first.hits("a{}".format) == (Hit("V1", "a7"), Hit("V0", ""))


def test_a_hold_in_which_nobody_did_anything_is_no_step() -> None:
    log = (
        step(1.0, 0, StepKind.HELD, 1),
        step(1.001, 1, StepKind.SWITCH, 2),
        step(1.002, 0, StepKind.GO, 1),
        step(1.003, 1, StepKind.STUCK, 2, count=0),
    )
    (only,) = recorded(log, 2.0)
    assert only.hits(str) == (Hit("V0", "1"), Hit("V1", "2"))


def test_each_hold_in_which_others_went_on_may_have_been_enough() -> None:
    log = (
        step(1.0, 0, StepKind.HELD, 1),
        step(1.001, 1, StepKind.HELD, 2),
        step(1.002, 0, StepKind.GO, 1, count=7),
        step(1.003, 1, StepKind.TIMEOUT, 2, count=0),
    )
    (only,) = recorded(log, 2.0)
    assert only.holds(str) == ((Hit("V0", "1"), Hit("V1", "")),)


def test_a_failure_is_where_the_kernel_marked_it() -> None:
    # Something else was printed a second before the report.
    log = [step(time, 0, StepKind.MARK) for time in (1.0, 3.0, 4.0, 4.08, 4.1, 4.4)]
    found = [report_of(log, seen) for seen in (4.3, 3.98, 3.5, 0.5)]
    assert [one and one.time for one in found] == [4.0, 4.0, 3.0, None]


def test_what_a_program_reports_was_before_it_could_be_read() -> None:
    """The first schedule ended while the program wrote, the others are those of its exit."""
    log = (
        step(1.00, 0, StepKind.HELD, 1),
        step(1.06, 0, StepKind.TIMEOUT, 1),
        step(1.07, 0, StepKind.HELD, 2, 2),
        step(1.08, 0, StepKind.TIMEOUT, 2, 2),
        step(1.11, 0, StepKind.HELD, 3, 3),
    )
    (found,) = schedules_before(log, 1.10)
    assert [one.kind for one in found.steps] == [StepKind.HELD, StepKind.TIMEOUT]
    assert [one.number for one in schedules_before(log[2:], 1.10)] == [2]
    assert [one.number for one in schedules_before((*log, step(1.09, 0, StepKind.MARK)), 1.10)] == [
        2,
        1,
    ]


class Namer:
    """Names each access by its address."""

    def exact(self, address: int) -> str:
        return f"entry of f{address}"


def failure(*log: LogStep) -> Failure:
    boot = Boot(Judgement(Outcome.CRASH), searched(NEAR, log=log), 100.0, 100.0, NO_RUN)
    return Failure(boot, schedules_before(boot.searched.log, boot.seconds))


def held(number: int, address: int, *trail: tuple[int, int, int]) -> list[LogStep]:
    """A schedule that holds vCPU 0 at an address; each of the trail is a vCPU, a site, its hits."""
    came = [step(number, vcpu, StepKind.TRAIL, site, number, hits) for vcpu, site, hits in trail]
    return [
        *came,
        step(number, 0, StepKind.HELD, address, number),
        step(number + 0.5, 0, StepKind.TIMEOUT, address, number, 9),
    ]


def in_short(found: Iterable[tuple[Hit, ...]]) -> list[str]:
    """Each suspect in short: ``1-`` where vCPU 1 goes on, ``0:7`` where vCPU 0 is at site 7."""
    return [
        " ".join(
            f"{hit.actor[1]}:{hit.point[10:]}" if hit.point else f"{hit.actor[1]}-" for hit in one
        )
        for one in found
    ]


def suspected(*log: LogStep) -> list[str]:
    suspects = Suspects(Namer())  # type: ignore[arg-type]
    return in_short(dict.fromkeys(hits for hits, _ in suspects.of(failure(*log))))


def test_the_latest_schedule_is_the_likeliest_cause_and_older_ones_are_none() -> None:
    log = [one for number in range(1, 8) for one in held(number, number)]
    found = [one for one in suspected(*log) if one.count(":") == 1]
    assert found == ["0:7 1-", "0:6 1-", "0:5 1-", "0:4 1-"]


def test_a_schedule_may_need_another_vcpu_where_it_came_from() -> None:
    log = held(1, 5, (1, 21, 900), (1, 22, 3), (0, 5, 1), (1, 23, 40), (1, 24, 60))
    # What vCPU 1 seldom does says the most about where it was.
    assert suspected(*log) == ["1:22 0:5 1-", "0:5 1-", "1:23 0:5 1-"]


def test_a_trail_is_no_step_and_the_place_of_a_hold_no_trail() -> None:
    (only,) = recorded(held(1, 5, (1, 21, 900), (0, 5, 2), (0, 6, 1)), 9.0)
    assert only.hits(str) == (Hit("V0", "5"), Hit("V1", ""))
    assert only.came_from(0, str) == (Hit("V0", "6"),)
    assert only.came_from(2, str) == ()


def test_how_long_a_place_takes_to_come_again_is_known_from_the_trails() -> None:
    one = failure(*held(4, 5, (1, 21, 8), (0, 5, 2)))
    assert seconds_between(one) == {21: 0.5, 5: 2.0}


def test_how_vcpus_stood_comes_before_each_hold_alone() -> None:
    log = (
        step(1.0, 0, StepKind.HELD, 1),
        step(1.1, 1, StepKind.SWITCH, 2),
        step(1.2, 0, StepKind.GO, 1, count=5),
    )
    assert suspected(*log) == ["0:1 1:2", "0:1 1-"]


def test_an_order_is_not_screened_for_ever() -> None:
    suspects = Suspects(Namer())  # type: ignore[arg-type]
    one = failure(*held(1, 1))
    assert [len(list(suspects.of(one))) for _ in range(4)] == [1, 1, 0, 0]


def test_either_actor_may_have_gone_on_first_after_the_last_step() -> None:
    once, other, own = variants((Hit("V0", "entry of f1"), Hit("V1", "entry of f2")))
    assert other[:2] == own[:2] == once
    assert (other[2].actor, own[2].actor) == ("V0", "V1")
    assert other[2].seconds
