# SPDX-License-Identifier: GPL-2.0-only
"""The search over boots, its seeds, coverage and bound."""

from dataclasses import replace
from pathlib import Path

import pytest

from fakes.searched import FAR, NEAR, NO_RUN, SITES, ended, searched, step
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import RunDir
from mmrace.searching.boots import Boot
from mmrace.searching.bound import bound, missed
from mmrace.searching.coverage import Coverage
from mmrace.searching.profile import Profile
from mmrace.searching.schedule import schedules_before
from mmrace.searching.search import Search
from mmrace.searching.seeding import Seeds, seeds_from
from mmrace.symbols.accesses import AccessSite
from mmrace.windows.plan import Plan
from mmrace.windows.search import StepKind, Tactics


def test_coverage_tells_what_is_still_new() -> None:
    coverage = Coverage()
    coverage.add(searched(replace(NEAR, schedule=3), replace(FAR, schedule=3), schedules=10))
    assert coverage.unseen == pytest.approx(0.1)
    coverage.add(searched(replace(NEAR, schedule=9), schedules=30))
    assert coverage.unseen == 0
    assert coverage.growth == [(10, 2), (40, 2)]


def test_the_bound_is_that_of_the_paper() -> None:
    assert bound(2, 40, 3) == pytest.approx(1 / 3200)
    assert missed(bound(2, 10, 2), 20) == pytest.approx(0.95**20)


class Boots:
    """Boots that fail when told to; what they were asked for is kept."""

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.plans = []

    def __call__(self, plan, seed, seconds, slot=""):
        self.plans.append(plan)
        failed = len(self.plans) == self.fails
        outcome = Outcome.CRASH if failed else Outcome.PASS
        log = (step(1.0, 0, StepKind.HELD, 1), step(1.5, 0, StepKind.GO, 1))
        judged = Judgement(outcome, signature_matched=failed)
        run = RunDir(Path(f"none-{len(self.plans)}"))
        return ended(Boot(judged, searched(NEAR, log=log), 2.0, 2.5, run))


def scheduled(plan: Plan) -> list[int]:
    """Addresses of the accesses that a plan does not only trace."""
    return [site.address for site in plan.search.sites if not site.traced]


def test_a_search_watches_once_and_then_schedules_until_a_boot_fails() -> None:
    boots = Boots(fails=4)
    search = Search(boots, SITES, None)
    made = [search.begin(60).end() for _ in range(4)]
    assert [one.failed for one in made] == [False, False, False, True]
    assert [len(scheduled(plan)) for plan in boots.plans] == [3, 3, 2, 2]  # 2 s a boot
    assert boots.plans[0].search.tactics.share == 0 < boots.plans[2].search.tactics.share
    assert [one.number for one in schedules_before(made[-1].searched.log, made[-1].seconds)] == [1]
    tried = search.tried
    assert (tried.boots, tried.schedules, tried.priorities, tried.failures) == (2, 8, 6, 1)
    assert (tried.seconds, tried.armed) == (8.0, 5.0)
    assert tried.missed(Tactics(length=4, depth=2), 2) == pytest.approx((1 - 1 / 8) ** 6)


def test_a_search_counts_what_else_failed_and_schedules_at_once_what_it_knows() -> None:
    def foreign(_plan, _seed, _seconds, _slot):
        return ended(Boot(Judgement(Outcome.HANG, "stall"), searched(NEAR), 1.0, 1.0, NO_RUN))

    search = Search(foreign, SITES, None, Profile(seconds=9.0, pairs=(NEAR,)))
    search.begin(5).end()
    assert search.tried.foreign["stall"] == search.tried.boots == 1


def test_a_search_with_seeds_need_not_watch() -> None:
    boots = Boots(fails=9)
    Search(boots, SITES, None, seeds=Seeds(frozenset({2, 9}))).begin(60).end()
    assert scheduled(boots.plans[0]) == [2, 9]
    assert boots.plans[0].search.tactics.share > 0


def test_seeds_are_what_communicated_in_the_other_kernel_and_all_of_what_changed() -> None:
    theirs = tuple(
        AccessSite(at, name, at + 1)
        for at, name in ((1, "same"), (2, "same"), (3, "grown"), (4, "quiet"), (5, "changed"))
    )
    ours = tuple(
        AccessSite(at, name, at + 1)
        for at, name in (
            (101, "same"),
            (102, "same"),
            (103, "grown"),
            (104, "grown"),
            (105, "quiet"),
            (106, "changed"),
            (107, "changed"),
            (108, "new"),
        )
    )
    pairs = (replace(NEAR, first=2, second=3),)
    seeds = seeds_from(Profile(pairs=pairs), theirs, ours, {"changed", "elsewhere"})
    assert seeds.addresses == {102, 103, 104, 106, 107}
    assert seeds.functions == {"changed"}
