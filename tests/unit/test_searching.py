# SPDX-License-Identifier: GPL-2.0-only
"""Profiles, recorded schedules, names for accesses, and the search over boots."""

import subprocess
import tomllib
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.definitions.window import Window
from mmrace.definitions.witness import Step
from mmrace.errors import UserError
from mmrace.executors.executor import Runs, UnderWay
from mmrace.hunting.order import Hit
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import RunDir
from mmrace.searching.boots import Boot
from mmrace.searching.bound import bound, missed
from mmrace.searching.coverage import Coverage
from mmrace.searching.explanation import Line, columns
from mmrace.searching.files import BESIDE, choose_files
from mmrace.searching.listing import listed
from mmrace.searching.naming import Names
from mmrace.searching.profile import Profile, load_profile, make_search, save_profile
from mmrace.searching.proving import Suspects, seconds_between, variants
from mmrace.searching.schedule import failed_at, recorded
from mmrace.searching.search import Failure, Search, schedules_before
from mmrace.searching.seeding import Seeds, seeds_from
from mmrace.searching.windowing import orders_of, render_windows, windows_of
from mmrace.symbols.accesses import AccessSite, list_sites
from mmrace.symbols.decode import Place
from mmrace.symbols.resolve import Resolver
from mmrace.windows.plan import Plan
from mmrace.windows.search import (
    WATCH,
    Counts,
    LogStep,
    Pair,
    Searched,
    StepKind,
    Strategy,
    Tactics,
)

COUNTS = Counts(10, 2, 0, 0, 4, (2, 2, 0), 5, 1, 1, 1, 0, 0.5, 1, 3)
NEAR = Pair(1, 2, 3, (True, False), 0.001, 64)
FAR = Pair(2, 1, 1, (False, True), 0.1, 64)


def searched(*pairs: Pair, log: tuple[LogStep, ...] = (), **counts: int) -> Searched:
    return Searched(replace(COUNTS, **counts), pairs, log)


def test_a_profile_grows_with_each_boot_and_comes_back_from_its_file(tmp_path: Path) -> None:
    one = Profile().merged(searched(NEAR, FAR), 2.0)
    both = one.merged(searched(replace(NEAR, count=2, gap=0.0005, word=8)), 3.0)
    assert (both.boots, both.seconds, both.accesses) == (2, 5.0, 20)
    assert both.ranked() == (replace(NEAR, count=5, gap=0.0005, word=8), FAR)
    save_profile(tmp_path / "deep" / "profile.json", both)
    assert load_profile(tmp_path / "deep" / "profile.json") == both
    assert load_profile(tmp_path / "none.json") == Profile()


def test_accesses_beside_count_where_they_meet_others() -> None:
    other = Pair(3, 4, 3, (True, False), 0.001, 64)
    both = Profile().merged(searched(NEAR, other), 2.0, {2, 3, 4})
    assert both.pairs == (NEAR,)


def test_only_sites_that_communicate_are_scheduled_with_their_functions_stacks() -> None:
    sites = (
        AccessSite(1, "f", 2),
        AccessSite(2, "g", 3),
        AccessSite(3, "g", 4, stack=True),
        AccessSite(4, "h", 5),
        AccessSite(5, "h", 6, stack=True),
    )
    plan = make_search(sites, Tactics(), Profile(pairs=(NEAR,)))
    assert [(site.address, site.group, site.stack) for site in plan.sites] == [
        (1, 0, False),
        (2, 1, False),
        (3, 1, True),
    ]
    assert plan.groups == 2
    assert len(make_search(sites, WATCH).sites) == 5


def test_files_are_chosen_by_patterns_in_their_order() -> None:
    files = ("mm/rmap.c", "mm/slub.c", "fs/exec.c", "net/core/dev.c")
    assert choose_files(files) == {"mm/rmap.c"}
    assert choose_files(files, BESIDE) == {"fs/exec.c"}
    assert choose_files(files, ("mm/*", "!mm/r*")) == {"mm/slub.c"}
    with pytest.raises(UserError, match="no source file of this kernel matches 'drm/"):
        choose_files(files, ("drm/*",))


def step(
    time: float, vcpu: int, kind: StepKind, address: int = 0, schedule: int = 1, count: int = 1
) -> LogStep:
    return LogStep(time, schedule, vcpu, kind, address, count, 64, Strategy.MEET)


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
    assert failed_at(log, 4.3) == 4.0
    assert failed_at(log, 3.98) == 4.0
    assert failed_at(log, 3.5) == 3.0
    assert failed_at(log, 0.5) == pytest.approx(0.55)


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


def ended(boot: Boot) -> UnderWay[Boot]:
    future: Future[Runs] = Future()
    future.set_result((boot.run,))
    return UnderWay(future, lambda: boot)


def scheduled(plan: Plan) -> list[int]:
    """Addresses of the accesses that a plan does not only trace."""
    return [site.address for site in plan.search.sites if not site.traced]


NO_RUN = RunDir(Path("none"))
SITES = (AccessSite(1, "f", 2), AccessSite(2, "g", 3), AccessSite(9, "h", 10))


def test_a_search_watches_once_and_then_schedules_until_a_boot_fails() -> None:
    boots = Boots(fails=4)
    search = Search(boots, SITES, None)
    made = [search.begin(60).end() for _ in range(4)]
    assert [one.failed for one in made] == [False, False, False, True]
    assert [len(scheduled(plan)) for plan in boots.plans] == [3, 3, 2, 2]  # 2 s a boot
    assert boots.plans[0].search.tactics.share == 0 < boots.plans[2].search.tactics.share
    assert [one.number for one in schedules_before(made[-1])] == [1]
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


def test_what_lies_beside_shares_by_file() -> None:
    sites = (
        AccessSite(1, "f", 2),
        *(AccessSite(at, f"g{at}", at, beside="fs/x.c") for at in (2, 3)),
    )
    pairs = (NEAR, replace(NEAR, second=3))
    plan = make_search(sites, Tactics(), Profile(pairs=pairs))
    assert [(site.address, site.group) for site in plan.sites] == [(1, 0), (2, 1), (3, 1)]
    assert make_search(sites, Tactics(), Profile(pairs=pairs), alone={"g2"}).groups == 3


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


def test_each_access_of_a_function_that_stands_alone_has_a_share_of_its_own() -> None:
    sites = tuple(AccessSite(at, "fg"[at > 2], at + 1) for at in (1, 2, 3, 4))
    plan = make_search(sites, Tactics(), Profile(pairs=(NEAR,)), more={3, 4}, alone={"g"})
    assert [(site.address, site.group) for site in plan.sites] == [(1, 0), (2, 0), (3, 1), (4, 2)]
    assert plan.groups == 3


SOURCE = """
volatile int word;
int other;
__attribute__((noinline)) int leaf(int n) { word = n; return n; }
static inline __attribute__((always_inline)) void zero(int *p) { *p = 0; }
static inline __attribute__((always_inline)) int clear(int *p)
{
	int old = *p;
	zero(p);
	return old;
}
__attribute__((noinline)) int whole(int *p, int n)
{
	int sum = leaf(n);
	sum += clear(p);
	sum += leaf(sum);
	return sum;
}
int main(int argc, char **argv) { return whole(&argc, argc); }
"""


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    folder = tmp_path_factory.mktemp("naming")
    (folder / "small.c").write_text(SOURCE)
    argv = ["gcc", "-O2", "-gdwarf-5", "-no-pie", "-fcf-protection=none", "-o", "small", "small.c"]
    subprocess.run(argv, cwd=folder, check=True)
    return Resolver(folder / "small", "small")


def test_an_access_is_named_by_what_is_behind_it(resolver: Resolver) -> None:
    sites = list_sites(resolver.debug, "small.c".__eq__)
    own = [site for site in sites if site.function == "whole" and not site.stack]
    names = Names(resolver, sites)
    exact = [names.exact(site.address) for site in own]
    for site, text in zip(own, exact, strict=True):
        assert resolver.resolve((text,)).addresses == (site.next,)
    offered = [name for text in exact for name in names.symbolic(text)]
    assert "after clear in whole" in offered
    assert any(name.startswith("line ") for name in offered)
    # What everybody calls stands for too much, and takes minutes to find in a kernel.
    assert "after zero in clear" not in offered
    assert names.address(exact[0]) == own[0].address
    assert names.address("entry of x") is None
    one, other = own[0].address, next(site.address for site in sites if site.function == "leaf")
    pairs = (replace(NEAR, first=other, second=one),)
    expected = names.symbolic(names.exact(other)) or (names.exact(other),)
    assert names.partner(names.exact(one), pairs) == expected[0]
    assert names.partner(names.exact(one), (NEAR,)) == names.partner("entry of x", pairs) == ""
    assert names.exact(0x10) == ""
    assert names.symbolic("at whole+0x0") == ()


def test_a_window_holds_an_actor_until_the_last_point_of_the_others() -> None:
    order = (
        Step(actor="V1", point=("entry of f",)),
        Step(actor="V0", point=("entry of g",)),
        Step(actor="V0", point=("return of g",)),
        Step(actor="V1", point=("after h in f",)),
        Step(actor="V0", seconds=0.1),
    )
    found = windows_of(order, "w", {"after h in f": "entry of k"}.get)
    assert [(one.hold[0], one.until[0]) for one in found[:2]] == [
        ("entry of f", "return of g"),
        ("return of g", "after h in f"),
    ]
    assert found[-1].until == ("entry of k",)
    read = tomllib.loads(render_windows(found))["window"]
    assert tuple(Window.model_validate(one) for one in read) == found


def test_an_order_in_which_nobody_meets_anybody_makes_no_window() -> None:
    order = (Step(actor="V1", point=("entry of f",)), Step(actor="V0", seconds=0.1))
    assert windows_of(order, "w") == ()


def test_windows_mean_the_orders_that_they_hold_vcpus_in() -> None:
    first = Window(name="a", hold=("entry of f",), until=("entry of g",))
    second = Window(name="b", hold=("entry of g",), until=("return of f",))
    apart = Window(name="c", hold=("entry of h",), until=("entry of k",))
    whole, *single = orders_of((first, second, apart))
    assert [(step.actor, step.point[0]) for step in whole] == [
        ("V0", "entry of f"),
        ("V1", "entry of g"),
        ("V0", "return of f"),
        ("V1", "entry of h"),
        ("V0", "entry of k"),
    ]
    assert len(single) == 6
    assert single[0] == whole[:2]
    assert (single[1][:2], single[1][2].actor) == (single[0], "V0")
    assert orders_of((first,)) == (single[0], single[1])
    assert orders_of(()) == ()


def test_a_witness_is_told_in_a_column_for_each_actor() -> None:
    place = (Place("f", "mm/rmap.c", 12),)
    lines = (
        Line("V1", "entry of f: waits there", place),
        Line("V0", "goes on for 100 ms"),
    )
    rows = columns(lines)
    assert rows[0].split() == ["V1", "V0"]
    assert rows[1].startswith("entry of f: waits there (mm/rmap.c:12)"[:20])
    assert rows[-1].strip() == "goes on for 100 ms"
    assert rows[-1].startswith(" " * 40)


class Namer:
    """Names each access by its address."""

    def exact(self, address: int) -> str:
        return f"entry of f{address}"


def failure(*log: LogStep) -> Failure:
    boot = Boot(Judgement(Outcome.CRASH), searched(NEAR, log=log), 100.0, 100.0, NO_RUN)
    return Failure(boot, schedules_before(boot))


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


def test_a_profile_is_listed_by_closeness_with_lines() -> None:
    inside = (Place("test_bit", "bitops.h", 3), Place("get", "mm/a.h", 7))
    places = {1: (*inside, Place("f", "mm/a.c", 9), Place("g", "mm/a.c", 90))}
    one = listed(NEAR, places, {1: "page.flags"})
    assert str(one.first) == "store page.flags: get in f (mm/a.c:9)"
    assert str(one.second) == "load: 0x2 (?)"
    assert (one.gap, one.count) == (NEAR.gap, NEAR.count)
    assert Profile(pairs=(FAR, NEAR)).ranked() == (NEAR, FAR)


def test_a_plan_says_whether_anybody_is_held() -> None:
    assert make_search(SITES, Tactics()).holds
    assert not make_search(SITES, WATCH).holds
