# SPDX-License-Identifier: GPL-2.0-only
"""An attack that was killed is resumed: with its boots and its time; nothing counts twice."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fakes.attacks import FOREIGN, RACE, Guests
from fakes.searched import NEAR, searched
from made_runs import FAILED
from mmrace.experiments.attack import attackable
from mmrace.experiments.attempts import FREE, SEARCH, WINDOWS
from mmrace.experiments.controls import CONTROLS
from mmrace.outcome import Judgement, Outcome
from mmrace.sandbox import have_bubblewrap
from mmrace.searching.profile import Profile, load_profile, save_profile
from mmrace.verdicts.verdict import Arm

TOP = Path(__file__).parents[2]
NAMES = [one.name for one in attackable(RACE, "6.1.192")]
FIRST = NAMES[0]
STEERED = next(name for name in NAMES if RACE.windows_for(name))


class Killed(Guests):
    """Boots of an attack that is killed while boot ``at`` runs, the first time."""

    at = 0

    def boot(self, arm: Arm, workload: str, way: str, slot: str) -> Any:
        if len(self.made) + 1 == self.at:
            self.at = 0
            raise KeyboardInterrupt
        return super().boot(arm, workload, way, slot)


def killed(guests: Killed, at: int, seconds: float) -> None:
    guests.at = at
    with pytest.raises(KeyboardInterrupt):
        guests.attack(seconds)


def after(guests: Guests) -> Counter[tuple[str, str]]:
    return Counter((name, way) for arm, name, way in guests.made if arm is Arm.AFTER)


@pytest.mark.parametrize("kill", [2, 5, 9])
def test_boots_schedules_and_turns_go_on_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    whole = Guests(tmp_path / "whole", monkeypatch)
    expected = whole.attack(seconds=150)
    guests = Killed(tmp_path / "killed", monkeypatch)
    killed(guests, kill, 150)
    done = guests.attack(seconds=150)
    assert len(guests.made) == len(done.attempts) == len({one.run.id for one in done.attempts})
    turns = after(guests)
    assert set(turns) == set(after(whole))
    assert max(turns.values()) - min(turns.values()) <= 1
    scheduled = Counter(one.workload for one in done.attempts if one.way == SEARCH)
    assert {name: one.schedules for name, one in done.tried.items()} == {
        name: 9 * scheduled[name] for name in done.tried
    }
    assert len(guests.seeds) == len(set(guests.seeds))
    # By its record the last boot before the kill took 9.5 s, by this clock it took 2 s.
    assert 0 <= len(expected.attempts) - len(done.attempts) <= 8
    assert 150 <= done.seconds < 150 + 20


def test_what_is_left_of_the_budget_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests = Killed(tmp_path, monkeypatch)
    for kill in (4, 7, 10, 13):
        killed(guests, kill, 60)
    assert len(guests.made) == 12
    done = guests.attack(seconds=60)
    assert len(guests.made) == len(done.attempts)
    assert 60 <= done.seconds < 60 + 20
    again = guests.attack(seconds=60)  # the answer of the first one is out: this is another
    assert not {one.run.id for one in again.attempts} & {one.run.id for one in done.attempts}
    assert len(again.attempts) >= len(done.attempts)


def test_a_random_seed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guests = Killed(tmp_path, monkeypatch)
    guests.options = guests.options.with_(seed=None)
    killed(guests, 4, 60)
    first = guests.seeds[0]
    done = guests.attack(seconds=60)
    assert first is not None
    assert first - done.seed in range(3)
    assert guests.attack(seconds=60).seed != done.seed


def test_a_failure_before_the_kill_is_proven_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        hit = arm is Arm.AFTER and workload == FIRST and way == SEARCH
        return {"channel": FAILED} if hit else {}

    guests = Killed(tmp_path, monkeypatch, fails)
    killed(guests, 3, 900)  # the second of its boots, to prove the first one's failure
    made = len(guests.made)
    done = guests.attack(seconds=900)
    assert done.failure
    assert done.failure.run.id == "run-002"
    assert len(guests.proofs) == 2
    assert len(guests.made) == made  # proven from the boot that was there


def test_controls_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        broken = (arm, workload, way) == (Arm.AFTER, STEERED, WINDOWS)
        return dict(FOREIGN) if broken else {}

    guests = Killed(tmp_path / "one", monkeypatch, fails)
    whole = guests.attack(seconds=60)
    assert whole.regressions
    length = len(whole.attempts)
    guests = Killed(tmp_path / "two", monkeypatch, fails)
    killed(guests, length - 2, 60)
    done = guests.attack(seconds=60)
    controls = [one for one in done.attempts if one.arm is Arm.BEFORE and one.way == WINDOWS]
    assert len(controls) == CONTROLS
    assert len(guests.made) == len(done.attempts)
    assert done.regressions == whole.regressions


def test_boots_without_holds_are_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_number: int, arm: Arm, workload: str, way: str) -> dict[str, Any]:
        hangs = arm is Arm.AFTER and workload == FIRST and way == SEARCH
        hang = Judgement(Outcome.HANG, "no progress for 9 s", signature_matched=True)
        return {"made": {}, "judged": hang} if hangs else {}

    guests = Killed(tmp_path, monkeypatch, fails)
    killed(guests, 5, 60)
    assert after(guests)[FIRST, FREE] == 2
    done = guests.attack(seconds=60)
    assert after(guests)[FIRST, FREE] == CONTROLS
    assert done.hangs == (FIRST,)


def test_a_profile_that_was_kept_takes_no_boot_twice(tmp_path: Path) -> None:
    once = Profile().merged(searched(NEAR), 2.0, run="a")
    save_profile(tmp_path / "profile.json", once)
    kept = load_profile(tmp_path / "profile.json")
    assert kept == once
    assert kept.merged(searched(NEAR), 2.0, run="a") == once
    assert kept.merged(searched(NEAR), 2.0, run="b").boots == 2


@pytest.mark.whole
@pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")
def test_an_attack_that_is_killed_loses_nothing_and_counts_nothing_twice() -> None:
    env = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}
    words = [sys.executable, "-m", "fakes.attackkills", "5", "5"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.match(r"5 kills in \d+ campaigns.* [1-5] with running", done.stdout), done.stdout
