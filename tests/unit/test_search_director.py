# SPDX-License-Identifier: GPL-2.0-only
"""The director's profile and scheduler, played without QEMU."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.test_director import Player

from mmrace.data import data_dir
from mmrace.symbols.resolve import Resolved
from mmrace.windows.director import Director
from mmrace.windows.plan import Plan
from mmrace.windows.search import WATCH, LogStep, SearchPlan, Site, StepKind, Strategy, Tactics

STORE, LOAD, OTHER, PUSH, MARK = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
WORD, FAR = 0xFFFF888000001000, 0xFFFF888000002000
SITES = (Site(STORE, 0), Site(LOAD, 1), Site(OTHER, 2), Site(PUSH, 2, stack=True))
ALWAYS = 4_000_000_000  # holds a second: each second access is held
EAGER = Tactics(
    hold=(20.0, 20.0), wall=20.0, stuck=4.0, linger=0.0, start_rate=ALWAYS, switch_rate=ALWAYS
)
MEET = replace(EAGER, strategies=(0, 1, 0), switches=1)
SWITCH = replace(EAGER, strategies=(1, 0, 0), switches=2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("director")
    argv = ["make", "-s", "-C", str(data_dir("qemu") / "director"), f"O={made}", "test"]
    subprocess.run(argv, check=True)
    return made / "hold_test"


class Stage:
    """A director and a player over one state file, armed."""

    def __init__(
        self,
        program: Path,
        tactics: Tactics,
        sites: tuple[Site, ...] = SITES,
        traces: int = 0,
        **more: object,
    ) -> None:
        search = SearchPlan(sites, 3, tactics, traces=traces)
        plan = Plan(search=search, marks=Resolved("m", (MARK,)), **more)
        self.director = Director(plan, Path("/plugin.so"))
        self.director.__enter__()
        self.player = Player(program, self.director.path)
        self.director.arm()

    def start(self, vcpu: int, site: int, word: int, store: bool) -> None:
        self.player.tell(f"access {vcpu} {site:x} {word:x} {int(store)}")

    def access(self, vcpu: int, site: int, word: int = WORD, store: bool = False) -> str:
        self.start(vcpu, site, word, store)
        return self.player.answer()

    def hold(self, vcpu: int, site: int, word: int = WORD, store: bool = True) -> None:
        """Make accesses until one is held."""
        for _ in range(60):
            self.start(vcpu, site, word, store)
            if self.player.silent(0.05):
                return
        raise AssertionError("never held")

    def rest(self, *vcpus: int) -> None:
        for vcpu in vcpus:
            self.player.tell(f"rest {vcpu} 1")
            assert self.player.answer() == "rest"

    def held(self) -> list[LogStep]:
        return [step for step in self.log() if step.kind is StepKind.HELD]

    def log(self) -> list[LogStep]:
        """What was done; where the vCPUs came from is apart."""
        return [step for step in self._whole_log() if step.kind is not StepKind.TRAIL]

    def trail(self) -> list[tuple[int, int, int]]:
        """Each place that a vCPU came from: its number, the site, and how often it was there."""
        whole = [step for step in self._whole_log() if step.kind is StepKind.TRAIL]
        return [(step.vcpu, step.address, step.count) for step in whole]

    def _whole_log(self) -> tuple[LogStep, ...]:
        return self.director.searched().log

    def close(self) -> None:
        self.director.disarm()
        self.player.close()
        self.director.__exit__(None, None, None)


Maker = Callable[..., Stage]


@pytest.fixture
def stage(program: Path) -> Iterator[Maker]:
    made: list[Stage] = []

    def make(tactics: Tactics, **more: object) -> Stage:
        made.append(Stage(program, tactics, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def pairs(stage: Stage) -> dict[tuple[int, int], tuple[bool, bool]]:
    return {(pair.first, pair.second): pair.stores for pair in stage.director.searched().pairs}


def test_a_store_and_a_load_of_two_vcpus_are_a_pair(stage: Maker) -> None:
    play = stage(WATCH)
    play.access(0, STORE, store=True)
    play.access(1, LOAD, WORD + 4)  # the same word of eight bytes
    assert pairs(play) == {(STORE, LOAD): (True, False)}
    found = play.director.searched()
    assert found.pairs[0].count == 1
    assert 0 < found.pairs[0].gap < 10
    assert found.counts.accesses == 2


def test_loads_alone_other_words_and_one_vcpu_are_none(stage: Maker) -> None:
    play = stage(WATCH)
    play.access(0, LOAD)
    play.access(1, LOAD)
    play.access(0, STORE, FAR, store=True)
    play.access(0, LOAD, FAR)
    assert pairs(play) == {}


def test_a_store_is_seen_behind_three_later_ones(stage: Maker) -> None:
    play = stage(WATCH)
    play.access(0, STORE, store=True)
    for _ in range(3):
        play.access(0, OTHER, store=True)
    play.access(1, LOAD)
    assert set(pairs(play)) == {(STORE, LOAD), (OTHER, LOAD)}


def test_user_memory_and_the_own_stack_are_left_out(stage: Maker) -> None:
    play = stage(WATCH)
    play.access(0, STORE, 0x7FFF00001000, store=True)
    play.access(1, LOAD, 0x7FFF00001000)
    play.access(0, PUSH, FAR, store=True)
    play.access(0, STORE, FAR + 8, store=True)
    play.access(1, LOAD, FAR + 8)
    assert pairs(play) == {}


def test_a_vcpu_is_held_until_another_makes_a_conflicting_access(stage: Maker) -> None:
    play = stage(MEET)
    play.hold(0, STORE)
    assert play.access(1, LOAD, FAR).startswith("1 ")
    play.start(1, LOAD, WORD + 32, False)  # the same cache line
    assert {play.player.answer(), play.player.answer()} == {f"1 {LOAD:x}", f"0 {STORE:x}"}
    kinds = [(step.vcpu, step.kind) for step in play.log()]
    assert kinds == [(0, StepKind.HELD), (1, StepKind.MEET), (0, StepKind.TIMEOUT)]
    counts = play.director.searched().counts
    assert (counts.schedules, counts.holds, counts.met, counts.timeouts) == (1, 1, 1, 0)
    assert counts.by_strategy[Strategy.MEET] == 1


def test_two_loads_do_not_conflict(stage: Maker) -> None:
    play = stage(MEET)
    play.hold(0, LOAD, store=False)
    assert play.access(1, LOAD) == f"1 {LOAD:x}"
    assert play.player.silent()
    play.start(1, STORE, WORD, True)
    assert {play.player.answer(), play.player.answer()} == {f"0 {LOAD:x}", f"1 {STORE:x}"}


def test_vcpus_change_places_at_a_switch(stage: Maker) -> None:
    play = stage(replace(SWITCH, stuck=0.3))
    for _ in range(40):
        play.hold(0, STORE)
        while play.access(1, LOAD, FAR) == f"1 {LOAD:x}":
            pass
        if play.director.searched().counts.switched:
            break
        play.player.answer()
    # vCPU 0 has gone on, and vCPU 1 was held in its place unless the schedule had but one switch.
    kinds = [(step.vcpu, step.kind) for step in play.log()]
    assert (0, StepKind.GO) in kinds
    assert kinds[kinds.index((0, StepKind.GO)) - 1] in (
        (1, StepKind.HELD),
        (1, StepKind.SWITCH),
    )


def test_one_vcpu_is_never_held(stage: Maker) -> None:
    play = stage(replace(MEET, share=0.999))
    play.hold(0, STORE)
    for _ in range(40):
        assert play.access(1, OTHER, FAR, store=True) == f"1 {OTHER:x}"
        assert play.access(2, OTHER, FAR, store=True) == f"2 {OTHER:x}"


def test_a_hold_ends_when_nobody_else_makes_progress(stage: Maker) -> None:
    play = stage(replace(MEET, stuck=0.05))
    play.hold(0, STORE)
    assert play.player.answer() == f"0 {STORE:x}"
    kinds = [step.kind for step in play.log()]  # of one hold or more: on a busy host it is long
    assert set(kinds[::2]) == {StepKind.HELD}
    assert set(kinds[1::2]) == {StepKind.STUCK}


def test_rest_is_no_lack_of_progress(stage: Maker) -> None:
    play = stage(replace(MEET, stuck=0.2))
    play.rest(1, 2)
    play.hold(0, STORE)
    assert play.player.silent(0.5)


def test_who_goes_to_rest_during_a_hold_waits_for_its_end(stage: Maker) -> None:
    play = stage(replace(MEET, stuck=1.0))
    play.hold(0, STORE)
    play.rest(1, 2)
    assert play.player.answer(5) == f"0 {STORE:x}"
    assert play.log()[-1].kind is StepKind.STUCK


def test_nobody_waits_for_long_where_rests_do_not_end(stage: Maker) -> None:
    play = stage(replace(MEET, stuck=0.01, wall=0.1, share=0.999))
    play.rest(1, 2)
    for _ in range(40):
        play.hold(0, STORE)
        assert play.player.answer(3) == f"0 {STORE:x}"
    ends = [step.kind for step in play.log() if step.kind is not StepKind.HELD]
    assert set(ends[:5]) == {StepKind.TIMEOUT}
    assert ends[20:].count(StepKind.STUCK) > len(ends[20:]) / 2


def test_a_hold_lasts_for_some_activity_of_others(stage: Maker) -> None:
    play = stage(replace(MEET, hold=(0.5, 0.5)))
    play.hold(0, STORE)
    begun = time.monotonic()
    answers = []
    while f"0 {STORE:x}" not in answers and time.monotonic() < begun + 5:
        play.start(1, OTHER, FAR, False)
        answers.append(play.player.answer())
    assert 0.2 < time.monotonic() - begun < 4
    assert play.log()[-1].kind is StepKind.TIMEOUT


def test_a_hold_has_a_limit(stage: Maker) -> None:
    play = stage(replace(MEET, wall=0.1))
    play.hold(0, STORE)
    assert play.player.answer(3) == f"0 {STORE:x}"  # the hold would be stuck after 4 s
    assert play.log()[-1].kind is StepKind.TIMEOUT
    assert play.director.searched().counts.timeouts == 1


def test_holds_take_their_share_of_the_time_and_no_more(stage: Maker) -> None:
    play = stage(replace(MEET, wall=0.5))
    play.hold(0, STORE)
    assert play.player.answer(2) == f"0 {STORE:x}"
    begun = time.monotonic()
    while time.monotonic() < begun + 0.2:
        assert play.access(0, STORE, store=True) == f"0 {STORE:x}"
    time.sleep(0.5)
    play.hold(0, STORE)


def test_nobody_is_held_without_a_share_of_the_time(stage: Maker) -> None:
    play = stage(replace(MEET, share=0))
    for _ in range(30):
        assert play.access(0, STORE, store=True) == f"0 {STORE:x}"
    assert play.director.searched().counts.holds == 0


def test_the_end_of_the_race_phase_lets_all_go(stage: Maker) -> None:
    play = stage(MEET)
    play.hold(0, STORE)
    play.director.disarm()
    assert play.player.answer(3) == f"0 {STORE:x}"  # the hold would be stuck after 4 s
    armed = play.director.armed_seconds
    assert 0.05 < armed < 20
    time.sleep(0.05)
    assert play.director.armed_seconds == armed


def test_a_report_of_the_kernel_is_noted_in_the_log(stage: Maker) -> None:
    play = stage(WATCH)
    play.player.tell(f"reach 1 {MARK:x}")
    assert play.player.answer() == f"1 {MARK:x}"
    assert [(step.vcpu, step.kind) for step in play.log()] == [(1, StepKind.MARK)]


def test_a_schedule_tells_where_its_vcpus_came_from(stage: Maker) -> None:
    play = stage(MEET)
    made = []
    for site in (LOAD, LOAD, OTHER, OTHER, STORE, STORE) * 20:
        made.append(site)
        play.start(1, site, FAR, False)
        if play.player.silent(0.05):
            if play.held():
                break
            play.player.answer()  # it was only slow
    entered = [site for site, before in zip(made, [0, *made], strict=False) if site != before]
    came = [(1, site, made.count(site)) for site in entered[-8:]]
    assert play.trail() == [*came, (1, made[-1], made.count(made[-1]))]  # and where it is held


PCT = replace(EAGER, strategies=(0, 0, 1), depth=2, length=2, stuck=0.02, share=0.9)


def play_schedules(play: Stage, visits: tuple[tuple[int, int], ...]) -> None:
    end = time.monotonic() + 20
    while play.director.searched().counts.schedules < 4 and time.monotonic() < end:
        for vcpu, site in visits:
            play.access(vcpu, site, WORD, store=True)


def test_a_vcpu_of_lower_priority_waits_for_the_others(stage: Maker) -> None:
    play = stage(PCT)
    play_schedules(play, ((0, STORE), (1, LOAD), (0, LOAD), (1, OTHER), (0, OTHER)))
    counts = play.director.searched().counts
    assert counts.by_strategy[Strategy.PCT] >= 4
    assert counts.holds >= 1
    # The others did nothing while one waited, so that it had to go on: no schedule of the bound.
    assert counts.full == 0


def test_a_vcpu_of_lower_priority_runs_while_the_others_rest(stage: Maker) -> None:
    play = stage(PCT)
    play.rest(1, 2)
    play_schedules(play, ((0, STORE), (0, LOAD), (0, OTHER)))
    counts = play.director.searched().counts
    assert counts.holds == 0
    assert counts.full == counts.schedules >= 4


def test_a_search_that_is_cut_off_is_refused(program: Path, tmp_path: Path) -> None:
    plan = Plan(search=SearchPlan(SITES, 3, WATCH))
    with Director(plan, Path("/plugin.so")) as director:
        state = tmp_path / "state"
        state.write_bytes(director.path.read_bytes()[:-8])
    done = subprocess.run([program, state], capture_output=True, text=True, check=False)
    assert "refused: cut off" in done.stdout


def traced(play: Stage, since: float = 0) -> list[tuple[int, int, int, bool]]:
    found = play.director.traces(since)
    return [(one.vcpu, one.address, one.word, one.store) for one in found]


def test_accesses_are_traced_in_order(stage: Maker) -> None:
    play = stage(WATCH, traces=64)
    play.access(0, STORE, store=True)
    play.access(1, LOAD)
    play.access(0, OTHER, FAR)
    assert traced(play) == [(0, STORE, WORD, True), (1, LOAD, WORD, False), (0, OTHER, FAR, False)]
    latest = play.director.traces(0)[-1].time
    assert traced(play, latest) == [(0, OTHER, FAR, False)]


def test_the_last_accesses_of_each_vcpu_are_kept(stage: Maker) -> None:
    play = stage(WATCH, traces=9)  # of three vCPUs
    play.access(1, LOAD)
    for number in range(5):
        play.access(0, STORE, WORD + 8 * number, store=True)
    words = [word for vcpu, _, word, _ in traced(play) if vcpu == 0]
    assert words == [WORD + 8 * number for number in (2, 3, 4)]
    assert (1, LOAD, WORD, False) in traced(play)


def test_traces_and_marks_tell_tasks_apart_by_their_stacks(stage: Maker) -> None:
    play = stage(WATCH, traces=64)
    for stack in (5, 9):
        play.access(0, PUSH, stack << 14)
        play.access(0, STORE, store=True)
    play.player.reach(0, MARK)
    play.player.answer()
    assert [one.stack for one in play.director.traces(0)] == [5, 9]
    (mark,) = [step for step in play.log() if step.kind is StepKind.MARK]
    assert mark.word == 9


def test_without_traces_none_are_kept(stage: Maker) -> None:
    play = stage(WATCH)
    play.access(0, STORE, store=True)
    assert traced(play) == []


def test_nobody_is_held_where_accesses_are_only_traced(stage: Maker) -> None:
    sites = tuple(replace(site, traced=site.address == STORE) for site in SITES)
    play = stage(MEET, sites=sites, traces=300)
    for _ in range(60):
        assert play.access(0, STORE, store=True) == f"0 {STORE:x}"
    play.start(1, LOAD, WORD, False)
    assert play.director.searched().counts.holds <= 1  # of vCPU 1
    assert not any(step.address == STORE for step in play.log())
    assert pairs(play) == {}
    assert traced(play).count((0, STORE, WORD, True)) == 60
