# SPDX-License-Identifier: GPL-2.0-only
import json

import pytest

from mmrace import groups
from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import load_race
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import RunDir, Spec

RACE = "khugepaged-retract"
SPLAT = b"[   10.000002] WARNING: CPU: 0 PID: 20 at fs/x/y.c:12 %s+0x12/0x34\n"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "cache", tmp_path / "data")


def make_run(home, number, console, outcome=Outcome.CRASH, kernel="k1"):
    race = load_race(RACE)
    folder = home.runs / f"20260102-0304{number:02}-{RACE}-w-abcd"
    folder.mkdir(parents=True)
    spec = Spec(
        id=folder.name, race=race, workload=race.workload[0], machine=load_machine("numa2"),
        tree="debian:6.1", revision="", series=("6.1",), kernel_id=kernel, release="6.1.192",
        program="p", accel="tcg", steered=False, seconds=1.0, seed=1, boot=(), command="",
    )  # fmt: skip
    (folder / "spec.json").write_text(spec.model_dump_json())
    vm = {"argv": [], "version": "", "accel": "tcg", "accel_reason": "", "end": "EXITED"}
    (folder / "qemu.json").write_text(json.dumps({**vm, "seconds": 2.0}))
    (folder / "console.log").write_bytes(console)
    RunDir(folder).store(Judgement(outcome, signature_matched=outcome is Outcome.CRASH))
    return folder


def test_crashes_of_all_runs_are_grouped(home) -> None:
    make_run(home, 1, SPLAT % b"one_fn")
    make_run(home, 2, SPLAT % b"one_fn" + b"x\n" * 90 + SPLAT % b"two_fn")
    make_run(home, 3, b"", Outcome.PASS)
    with groups.database(home) as connection:
        first, second = groups.groups(connection)
    assert (first.title, first.runs, first.kind) == ("WARNING in one_fn", 2, "WARNING")
    assert (second.title, second.races, second.releases) == (
        "WARNING in two_fn", (RACE,), ("6.1.192",),
    )  # fmt: skip
    assert first.first < first.last


def test_rates_are_per_day_and_kernel(home) -> None:
    make_run(home, 1, SPLAT % b"one_fn")
    make_run(home, 2, b"", Outcome.PASS)
    make_run(home, 3, b"", Outcome.PASS, kernel="k2")
    make_run(home, 4, b"", Outcome.INFRA, kernel="k2")
    with groups.database(home) as connection:
        bad, good = groups.history(connection, RACE)
        assert groups.history(connection, "another") == ()
    assert (bad.day, bad.kernel, bad.runs, bad.failed, bad.matched) == ("2026-01-02", "k1", 2, 1, 1)
    assert (good.kernel, good.runs, good.failed, good.seconds) == ("k2", 1, 0, 2.0)


def test_it_follows_the_run_directories(home) -> None:
    gone = make_run(home, 1, SPLAT % b"one_fn")
    with groups.database(home) as connection:
        assert len(groups.groups(connection)) == 1
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    make_run(home, 2, SPLAT % b"two_fn")
    with groups.database(home) as connection:
        (only,) = groups.groups(connection)
    assert only.title == "WARNING in two_fn"


def test_a_damaged_or_foreign_file_is_made_anew(home) -> None:
    make_run(home, 1, SPLAT % b"one_fn")
    for content in (b"no database at all, but long enough to be looked at" * 50, b""):
        (home.data / "history.sqlite").write_bytes(content)
        with groups.database(home) as connection:
            assert len(groups.groups(connection)) == 1
    with groups.database(home, anew=True) as connection:
        assert len(groups.groups(connection)) == 1
