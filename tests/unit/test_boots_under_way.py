# SPDX-License-Identifier: GPL-2.0-only
"""Several boots of one search under way at a time: what each knows, what is counted and proven."""

import itertools
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fakes.searched import NEAR, NO_RUN, SITES, searched, step
from made_runs import FAILED, made_run
from mmrace.definitions.race import Source
from mmrace.errors import InfraError
from mmrace.executors.executor import Runs, UnderWay, as_ended
from mmrace.experiments import hunt as hunting
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import RunDir
from mmrace.runs.searched import read_searched, write_counts, write_seen
from mmrace.searching.boots import Boot, race_seconds, read_boot
from mmrace.searching.search import Search
from mmrace.windows.search import StepKind


class Slots:
    """An executor of which only the number of slots matters."""

    def __init__(self, slots: int) -> None:
        self.slots = slots


class Boots:
    """Boots that end when a test says so; those numbered in ``fails`` fail."""

    def __init__(self, fails: tuple[int, ...] = ()) -> None:
        self.fails = fails
        self.begun: list[Future[Runs]] = []
        self.plans: list[Any] = []

    def __call__(self, plan: Any, _seed: int, _seconds: float, _slot: str) -> UnderWay[Boot]:
        number = len(self.begun)
        self.plans.append(plan.search)
        self.begun.append(Future())
        failed = number in self.fails
        judged = Judgement(Outcome.CRASH if failed else Outcome.PASS, signature_matched=failed)
        run = RunDir(Path(f"none-{number}"))
        boot = Boot(judged, searched(replace(NEAR)), 5.0, 5.0, run)
        return UnderWay(self.begun[-1], lambda: boot)

    def end(self, *numbers: int) -> None:
        for number in numbers:
            self.begun[number].set_result((NO_RUN,))


def test_as_many_groups_are_under_way_as_there_are_slots_and_the_first_to_end_comes_first() -> None:
    futures: list[Future[Runs]] = []

    def begin() -> UnderWay[int] | None:
        if len(futures) == 5:
            return None
        number = len(futures)
        futures.append(Future())
        if number == 2:
            futures[1].set_result(())
        if number == 3:
            for one in (3, 2, 0):
                futures[one].set_result(())
        if number == 4:
            futures[4].set_result(())
        return UnderWay(futures[-1], lambda: number)

    ended = as_ended(Slots(3), begin)  # type: ignore[arg-type]
    assert next(ended).end() == 1
    assert len(futures) == 3
    assert [one.end() for one in ended] == [0, 2, 3, 4]


def test_groups_that_have_not_begun_are_dropped_when_nobody_wants_them_any_more() -> None:
    made: list[Future[Runs]] = []

    def begin() -> UnderWay[None]:
        made.append(Future())
        if len(made) == 2:
            made[0].set_result(())
        return UnderWay(made[-1], lambda: None)

    ended = as_ended(Slots(2), begin)  # type: ignore[arg-type]
    next(ended)
    ended.close()  # type: ignore[attr-defined]
    assert made[1].cancelled()


def test_boots_watch_until_one_has_told_and_then_all_know_what_all_have_seen() -> None:
    boots = Boots()
    search = Search(boots, SITES, None)
    first, second = search.begin(60), search.begin(60)
    assert [plan.tactics.share for plan in boots.plans] == [0, 0]
    boots.end(0, 1)
    first.end()
    third = search.begin(60)
    assert [site.address for site in boots.plans[2].sites if not site.traced] == [1, 2]
    second.end()
    boots.end(2)
    third.end()
    assert search.profile.boots == 2
    assert search.profile.pairs == (replace(NEAR, count=2 * NEAR.count),)
    assert (search.tried.boots, search.tried.seconds) == (1, 15.0)


class Hunting:
    """A hunter whose search is real, and whose boots end at once."""

    def __init__(self, fails: tuple[int, ...], proves: int) -> None:
        self.boots = Boots(fails)
        self.search = Search(self.boots, SITES, None)
        self.spec = SimpleNamespace(race=None, workload=None, machine=SimpleNamespace(cpus=2))
        self.parts = SimpleNamespace(accel=None)
        self.seed, self.lost, self.control = 1, 0, None
        self.proven, self.finding = False, None
        self.proofs: list[int] = []
        self._proves = proves

    def begin(self, seconds: float) -> UnderWay[Boot]:
        begun = self.search.begin(seconds)
        self.boots.end(len(self.boots.begun) - 1)
        return begun

    def prove(self, _boot: Boot, _seconds: float, _tell: Any) -> None:
        self.proofs.append(len(self.boots.begun))
        self.proven = len(self.proofs) == self._proves


def hunted(hunter: Hunting, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = itertools.count()
    monkeypatch.setattr(hunting, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    return hunting._hunt(hunter, Slots(2), seconds, lambda _text: None)  # type: ignore[arg-type]


def test_a_failure_is_proven_when_what_is_under_way_has_ended_and_the_search_goes_on_if_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hunter = Hunting(fails=(2, 3, 6), proves=3)
    done = hunted(hunter, 900, monkeypatch)
    assert hunter.proofs == [4, 4, 8]  # both failures of a round, then that of another one
    assert done.tried.failures == 3
    assert done.tried.boots == 8 - 2  # all that was begun was counted; two boots watched
    assert done.first == 15.0


def test_a_hunt_of_several_slots_ends_in_time_and_with_a_broken_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hunter = Hunting((), proves=0)
    done = hunted(hunter, 20, monkeypatch)
    assert not hunter.proofs
    assert done.tried.boots == len(hunter.boots.begun) - 2
    broken = Hunting((), proves=0)
    spoilt = Boot(Judgement(Outcome.INFRA, "no QEMU"), searched(), 0.0, 0.0, NO_RUN)
    ended: Future[Runs] = Future()
    ended.set_result(())
    broken.search._boots = lambda *_: UnderWay(ended, lambda: spoilt)
    broken.begin = broken.search.begin  # type: ignore[method-assign]
    with pytest.raises(InfraError, match="3 boots of a hunt in a row: no QEMU"):
        hunted(broken, 900, monkeypatch)


@pytest.fixture
def director() -> Any:
    log = (
        step(1.0, 0, StepKind.HELD, 1, schedule=7),
        step(1.5, 1, StepKind.MEET, 2, schedule=7),
    )
    return SimpleNamespace(searched=lambda: searched(NEAR, log=log), armed_seconds=2.5)


def test_what_a_boot_showed_is_read_from_its_run_directory(tmp_path: Path, director: Any) -> None:
    run = made_run(tmp_path, channel=FAILED)
    write_counts(run.folder, director)
    write_seen(run.folder, director, failed=True)
    boot = read_boot(run)
    assert boot.searched == director.searched()
    assert (boot.armed, boot.failed, boot.run) == (2.5, True, run)
    assert 0 < boot.seconds < 10
    write_seen(run.folder, director, failed=False)
    assert read_searched(run) == (replace(director.searched(), log=()), 2.5)


def test_the_race_phase_of_a_program_that_is_no_stressor_begins_with_it(tmp_path: Path) -> None:
    """Its log has its zero there as well, even if the program prints what stressors do."""
    stressor = made_run(tmp_path, name="stressor", channel=FAILED)
    program = made_run(tmp_path, name="program", channel=FAILED, source=Source.SELFTEST)
    line = 0.1  # seconds from one line of the channel to the next
    assert race_seconds(program) - race_seconds(stressor) == pytest.approx(line)


def test_a_run_that_was_none_of_a_search_is_told_from_one(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    with pytest.raises(InfraError, match=r"search\.json: no record of a search"):
        read_boot(run)
    (run.folder / "search.json").write_text('{"accesses": 1, "seen": []}')  # an older version's
    with pytest.raises(InfraError, match="no record of a search"):
        read_boot(run)
