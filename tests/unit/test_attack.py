# SPDX-License-Identifier: GPL-2.0-only
"""An attack on a fix, with boots that a test makes; and what it does to a verdict."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.attacks import FOREIGN, RACE, SPOILT, FakeHunter, Guests
from made_runs import FAILED, PASSED
from mmrace.answers.verdict import attack_row
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import InfraError, UserError
from mmrace.experiments.attack import LOST, attackable, check_attackable
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.attempts import FREE, SEARCH, WATCH, WINDOWS
from mmrace.experiments.controls import CONTROLS
from mmrace.outcome import Judgement, Outcome
from mmrace.reports.attack import details, rows, sections
from mmrace.searching.search import Tried
from mmrace.verdicts.campaign import Campaign, Combined
from mmrace.verdicts.facing import Faced, Titles, face, regressions, titles_of
from mmrace.verdicts.verdict import Arm, Rules, Verdict


def test_each_way_has_its_turn_and_the_search_begins_with_what_is_known_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Guests(tmp_path, monkeypatch)
    done = guests.attack()
    after = [(name, way) for arm, name, way in guests.made if arm is Arm.AFTER]
    names = [item.name for item in attackable(RACE, "6.1.192")]
    steered = [name for name in names if RACE.windows_for(name)]
    turns = [*((name, SEARCH) for name in names), *((name, WINDOWS) for name in steered)]
    assert after[: len(turns)] == turns
    assert set(guests.sown) == set(names)
    assert (done.failure, done.regressions, done.exit_code) == (None, (), 0)
    assert done.faced.tried == done.words
    assert "schedules" in dict(rows(done, "w"))[f"schedules, {names[0]}"]
    assert details(done)[0].startswith("nothing found")
    assert "Attack" in sections(done)[0].title


def test_the_races_own_failure_ends_it_and_is_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(number: int, arm: Arm, _workload: str, way: str) -> dict[str, Any]:
        hit = number >= 4 and arm is Arm.AFTER and way == SEARCH
        return {"channel": FAILED} if hit else {}

    guests = Guests(tmp_path, monkeypatch, fails)
    done = guests.attack(seconds=60)
    assert done.failure
    assert done.exit_code == 1
    assert done.failure.title in done.faced.failure
    assert len(guests.proofs) == 2  # the first failure did not show its order
    assert done.document("w")["failure"] == done.failure.title
    assert attack_row(done)[1] == "NOT_FIXED"
    assert attack_row(done)[3].startswith("1 of ")
    assert details(done)[0].startswith("NOT_FIXED")


def test_several_boots_under_way_end_before_a_failure_is_proven_and_all_of_them_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        first = workload == attackable(RACE, "6.1.192")[0].name
        return {"channel": FAILED} if arm is Arm.AFTER and first and way == SEARCH else {}

    guests = Guests(tmp_path, monkeypatch, fails)
    done = guests.attack(seconds=60, slots=3)
    assert done.failure
    assert len([one for one in done.attempts if one.arm is Arm.AFTER]) == 3 + 1  # one to prove it
    assert len(guests.proofs) == 2
    assert len({one.run.id for one in done.attempts}) == len(guests.made) == len(done.attempts)


def test_the_order_of_a_failure_by_a_window_is_that_of_the_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Guests(
        tmp_path, monkeypatch, lambda *boot: {"channel": FAILED} if boot[-1] == WINDOWS else {}
    )
    done = guests.attack(seconds=60)
    assert done.failure
    assert done.failure.way == WINDOWS
    assert (guests.proofs, guests.by_windows) == ([], [done.failure.workload])


@pytest.mark.parametrize("shown_before", [False, True])
def test_a_foreign_failure_counts_when_only_the_kernel_after_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown_before: bool
) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        watched = sum(one == (arm, workload, way) for one in guests.made) > 1
        broken = arm is Arm.AFTER or (shown_before and watched)
        first = workload == attackable(RACE, "6.1.192")[0].name
        return dict(FOREIGN) if broken and first and way == SEARCH else {}

    guests = Guests(tmp_path, monkeypatch, fails)
    done = guests.attack()
    controls = Counter(arm for arm, _, _ in guests.made)[Arm.BEFORE] - len(guests.sown)
    assert done.failure is None
    assert bool(done.regressions) is not shown_before
    assert controls == (1 if shown_before else CONTROLS)
    json.dumps(done.document("w"))
    assert done.exit_code == (0 if shown_before else 3)
    known = Guests(tmp_path / "known", monkeypatch, fails)
    guests = known
    assert known.attack(known=Titles({"kernel BUG in elsewhere": 9}, 9)).regressions == ()


def test_what_cannot_run_is_left_out_and_a_broken_host_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Guests(tmp_path, monkeypatch)
    guests.absent = {attackable(RACE, "6.1.192")[0].name}
    done = guests.attack()
    assert [one.workload for one in done.not_run] == sorted(guests.absent)
    assert guests.absent <= set(done.words.replace(",", "").split())
    broken = Guests(tmp_path / "broken", monkeypatch, lambda *_: dict(SPOILT)).attack(seconds=900)
    assert broken.exit_code == 69
    assert broken.trouble.startswith("INFRA")
    after = Counter((name, way) for arm, name, way in _boots(broken) if arm is Arm.AFTER)
    assert set(after.values()) == {LOST}


def _boots(done: Attacked) -> list[tuple[Arm, str, str]]:
    ways = {WATCH: SEARCH}
    return [(one.arm, one.workload, ways.get(one.way, one.way)) for one in done.attempts]


def test_ways_that_the_host_spoils_are_left_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_number: int, _arm: Arm, _workload: str, way: str) -> dict[str, Any]:
        return dict(SPOILT) if way == WINDOWS else {}

    done = Guests(tmp_path, monkeypatch, fails).attack(seconds=200)
    steered = Counter(name for _, name, way in _boots(done) if way == WINDOWS)
    assert set(steered.values()) == {LOST}
    assert (done.trouble, done.exit_code) == ("", 0)


def test_an_attack_that_tried_nothing_or_exercised_nothing_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Guests(tmp_path, monkeypatch).attack(seconds=2)
    assert short.trouble.startswith("nothing was tried")
    few = {
        "channel": PASSED.replace("count turns 4", "count turns 1").replace("turns 3", "turns 1")
    }
    idle = Guests(tmp_path / "idle", monkeypatch, lambda *_: dict(few)).attack()
    assert idle.trouble.startswith("no boot of the kernel after was exercised and held: ")
    first = attackable(RACE, "6.1.192")[0].name
    part = Guests(
        tmp_path / "part", monkeypatch, lambda *boot: dict(few) if boot[2] == first else {}
    ).attack()
    assert part.trouble == f"no boot of the kernel after was exercised and held: {first}"
    for one in (short, idle):
        assert one.exit_code == 3
        assert face(_statement(True), one.faced).verdict is Verdict.INCONCLUSIVE
        assert details(one)[0] == one.trouble
        assert attack_row(one)[1] == "INCONCLUSIVE"


def test_a_workload_whose_boots_only_watched_was_not_attacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Guests(tmp_path, monkeypatch).attack()
    first = attackable(RACE, "6.1.192")[0].name
    assert done.trouble == ""
    idle = replace(done, tried={**done.tried, first: Tried(boots=0)})
    assert idle.trouble == f"no boot of the kernel after was exercised and held: {first}"


def test_a_failure_counts_though_its_proof_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(*_what: object) -> None:
        raise InfraError("QEMU does not start")

    monkeypatch.setattr(FakeHunter, "prove", prove)
    guests = Guests(
        tmp_path, monkeypatch, lambda *boot: {"channel": FAILED} if boot[1] is Arm.AFTER else {}
    )
    assert guests.attack(seconds=60).exit_code == 1


@pytest.mark.parametrize("free", [False, True])
def test_a_hang_counts_when_it_shows_without_holds_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: bool
) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        hangs = arm is Arm.AFTER and workload == first and (free or way == SEARCH)
        hang = Judgement(Outcome.HANG, "no progress for 9 s", signature_matched=True)
        return {"made": {}, "judged": hang} if hangs else {}

    first = attackable(RACE, "6.1.192")[0].name
    guests = Guests(tmp_path, monkeypatch, fails)
    done = guests.attack()
    unheld = Counter(way for _, _, way in guests.made)[FREE]
    if free:
        assert done.failure
        assert (done.failure.way, unheld, done.exit_code) == (FREE, 1, 1)
    else:
        assert (done.failure, unheld, done.exit_code) == (None, CONTROLS, 3)
        assert done.trouble == f"the kernel after hangs while vCPUs are held: {first}"
    assert not guests.proofs


def test_a_failure_that_before_shows_far_more_seldom_is_a_regression() -> None:
    often = Titles({"hang": 40}, 40)
    assert regressions(often, Titles({"hang": 1}, 30)) == ("hang",)
    assert regressions(often, Titles({"hang": 28}, 30)) == ()
    held, hang = Judgement(Outcome.PASS), Judgement(Outcome.HANG)
    spoilt, own = Judgement(Outcome.INFRA), Judgement(Outcome.CRASH, "x", signature_matched=True)
    pairs = titles_of([hang, *[held] * 20, *[own] * 9, spoilt])
    assert pairs == Titles({"HANG": 1}, 30)
    assert regressions(Titles({"HANG": 14}, 40), pairs + Titles({}, 2)) == ("HANG",)
    assert regressions(Titles({"rare": 1}, 40), Titles({}, 30)) == ("rare",)


def test_a_kernel_that_cannot_be_searched_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Guests(tmp_path, monkeypatch)
    guests.arms[Arm.AFTER].kernel.has_debug_info = False
    with pytest.raises(UserError, match="CONFIG_DEBUG_INFO"):
        check_attackable(guests.arms)


@pytest.mark.parametrize("name", race_names())
def test_an_attack_has_every_workload_that_decides_a_path(name: str) -> None:
    race: Race = load_race(name)
    for release in ("6.1.192", "7.3.4"):
        found = [item.name for item in attackable(race, release)]
        assert len(found) == len(set(found))
        assert {item.name for item in race.paths(release).decided.values()} <= set(found)
    one = race.workload[-1].name
    assert [item.name for item in attackable(race, "6.1.192", one)] == [one]


def _statement(fixed: bool) -> Combined:
    campaign = Campaign(Rules(pairs=20), ["only"])
    while fixed and not campaign.done:
        pair = campaign.next_pair()
        assert pair
        campaign.record(pair.path, *_judged())
    return campaign.statement()


def _judged() -> Any:
    return Judgement(Outcome.CRASH, "x", signature_matched=True), Judgement(Outcome.PASS)


def test_an_attack_can_only_take_fixed_away() -> None:
    fixed, open_ = _statement(True), _statement(False)
    assert fixed.verdict is Verdict.FIXED
    held = face(fixed, Faced("", (), "9 schedules"))
    assert (held.verdict, "9 schedules" in held.line) == (Verdict.FIXED, True)
    assert face(open_, Faced("", (), "9 schedules")) == open_
    wrong = face(fixed, Faced("KASAN in f (w, schedules)", (), ""))
    assert (wrong.verdict, wrong.exit_code) == (Verdict.NOT_FIXED, 1)
    assert "KASAN in f" in wrong.line
    none = face(fixed, Faced("", (), "", "nothing was tried in 2 s"))
    assert none.verdict is Verdict.INCONCLUSIVE
    worse = face(fixed, Faced("", ("WARNING in g",), ""))
    assert worse.verdict is Verdict.INCONCLUSIVE
    assert "WARNING in g" in worse.line
