# SPDX-License-Identifier: GPL-2.0-only
"""Replays of a witness as run directories, on a QEMU that plays a script."""

import json
import os

import pytest
from test_cell import FAKE, RACE, spec

from mmrace.definitions.race import Signature
from mmrace.definitions.witness import Step, Witness
from mmrace.errors import InfraError
from mmrace.guests.accel import Accel
from mmrace.guests.scheduler import Placed
from mmrace.home import Home
from mmrace.outcome import Outcome, VmEnd
from mmrace.proc import can_confine
from mmrace.reports import report
from mmrace.runs import replay
from mmrace.runs.evidence import judge_run
from mmrace.runs.options import RunOptions
from mmrace.runs.parts import Parts
from mmrace.runs.record import all_runs, find_run
from mmrace.runs.replay import follow, run_replay

ADDRESS = 0xFFFFFFFF81000040
BOOTED = """\
console [    0.1] Linux version 6.1.192
channel KTAP version 1
channel # start w
channel # out mmrace: race
sleep 0.5
"""
WARNING = """\
console [    5.0] ------------[ cut here ]------------
console [    5.0] WARNING: CPU: 0 PID: 1 at mm/it.c:7 {where}+0x5a/0x61
console [    5.0] RIP: 0010:{where}+0x5a/0x61
console [    5.0] Call Trace:
console [    5.0]  its_caller+0x1/0x2
console [    5.0] ---[ end trace 0000000000000000 ]---
"""
STEPS = (Step(actor="M", point="entry of f"),)
WITNESS = Witness(
    race="r", workload="w", machine="m", seed=7, found_on="k", release="6.1.192", settle=0.3,
    patience=0.3, step=STEPS,
)  # fmt: skip
OWN = RACE.model_copy(update={"signature": (Signature(title="in it_races"),)})


@pytest.fixture
def home(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Home(tmp_path / "cache", tmp_path / "data")


def cell(tmp_path, script):
    kernel, config, image = (tmp_path / name for name in ("kernel", "config", "image"))
    kernel.write_text(script, encoding="utf-8")
    config.write_text("CONFIG_SMP=y\n")
    image.write_bytes(b"")
    placed = tuple(Placed(step, frozenset([ADDRESS])) for step in STEPS)
    options = RunOptions(seconds=1, steer=False)
    made = spec(race=OWN, witness=WITNESS, options=options, id="20260101-000000-r-w-00000000")
    return made, Parts(kernel, config, image, Accel("tcg", "asked for"), placed=placed)


def reach(home, tmp_path, script):
    return run_replay(home, *cell(tmp_path, script), str)


def test_a_replay_that_reached_its_point_and_held_passes(home, tmp_path):
    run = reach(home, tmp_path, f"{BOOTED}stand {ADDRESS}\nconsole fine\nsleep 30\n")
    assert run.judgement().outcome is Outcome.PASS
    assert b"Linux version" in run.console()
    assert run.console().endswith(b"fine\r\n")
    assert run.channel() == b"KTAP version 1\n# start w\n# out mmrace: race\n"
    done = run.replay()
    assert (done.reached, done.complete, done.failed) == (True, True, False)
    (arrival,) = done.attempts[0].arrivals
    assert (arrival.step, arrival.actor, arrival.address) == (0, "M", ADDRESS)
    assert run.vm().end is VmEnd.STOPPED
    assert run.vm().confined == can_confine()
    assert "qemu-system" in run.vm().argv[0]
    assert run.as_json()["complete"]


def test_the_race_s_own_failure_in_a_replay_is_told_with_the_seconds_to_it(home, tmp_path):
    script = f"{BOOTED}stand {ADDRESS}\n{WARNING.format(where='it_races')}console more\nsleep 30\n"
    run = reach(home, tmp_path, script)
    judged = run.judgement()
    assert (judged.outcome, judged.signature_matched) == (Outcome.CRASH, True)
    assert run.replay().shown
    times = [second for second, _ in run.times("console")]
    assert times == sorted(times)
    assert 0 < judged.seconds_to_failure < run.vm().seconds


def test_a_report_from_before_the_replay_is_a_note(home, tmp_path):
    script = f"channel # start w\n{WARNING.format(where='it_races')}{BOOTED}sleep 30\n"
    judged = reach(home, tmp_path, script).judgement()
    assert judged.outcome is Outcome.INFEASIBLE
    assert "before the workload: WARNING in it_races" in judged.notes
    assert "M did not reach `entry of f` in time" in judged.notes


def test_a_kernel_that_panics_on_its_way_to_the_race_is_a_crash_with_its_console(home, tmp_path):
    script = (
        "console [    0.1] Kernel panic - not syncing: no init\n"
        "console [    0.1] ---[ end Kernel panic - not syncing: no init ]---\nsleep 300\n"
    )
    run = reach(home, tmp_path, script)
    assert run.judgement().outcome is Outcome.CRASH
    assert b"no init" in run.console()


def test_a_race_that_does_not_start_is_infrastructure_and_says_so(home, tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "BOOT_SECONDS", 0.5)
    judged = reach(home, tmp_path, "console booting\nsleep 300\n").judgement()
    assert judged.outcome is Outcome.INFRA
    assert "the race did not start in 0 s; last on the console: booting" in judged.title


def test_a_qemu_that_dies_in_a_replay_is_infrastructure(home, tmp_path):
    run = reach(home, tmp_path, f"{BOOTED}console bye\ndie 3\n")
    assert run.judgement().outcome is Outcome.INFRA
    assert "QEMU" in run.judgement().title
    with pytest.raises(InfraError, match="does not start"):
        reach(home, tmp_path, "die early\n")


def test_a_replay_is_judged_again_and_reported_like_any_run(home, tmp_path):
    run = reach(
        home, tmp_path, f"{BOOTED}stand {ADDRESS}\n{WARNING.format(where='other')}sleep 30\n"
    )
    found = find_run(home, "r-w-00000000")
    assert found.id == run.id
    assert judge_run(found) == found.judgement()
    assert found.judgement().outcome is Outcome.CRASH
    assert found.spec().witness == WITNESS
    page = report.html([found], title="t", made="", host="")
    assert "WARNING in other" in page


def test_replays_from_one_boot_are_a_directory_each(home, tmp_path):
    done = follow(home, *cell(tmp_path, f"{BOOTED}stand {ADDRESS}\nsleep 30\n"), 2, str)
    assert [run.id for run in done.runs] == [run.id for run in all_runs(home)]
    assert [run.id[-2:] for run in done.runs] == ["-1", "-2"]
    for run, one in zip(done.runs, done.done, strict=True):
        assert run.replay().attempts == one.attempts
        assert b"Linux version" in run.console()
    assert json.loads((done.runs[0].folder / "replay.json").read_text())["total"] == 1
