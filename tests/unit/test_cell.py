# SPDX-License-Identifier: GPL-2.0-only
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from made_runs import BOOT, BUG, made_run
from mmrace.definitions.machine import Machine, Node
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.guests.accel import Accel
from mmrace.home import Home
from mmrace.judging.judge import judge
from mmrace.outcome import Outcome, VmEnd
from mmrace.runs import workload
from mmrace.runs.evidence import judge_run, recorded_evidence
from mmrace.runs.kvm import probe_kvm
from mmrace.runs.parts import Parts
from mmrace.runs.record import Spec, all_runs, find_run
from mmrace.runs.searched import read_searched, was_scheduled, write_counts, write_seen
from mmrace.runs.workload import run_workload
from mmrace.windows.director import Director
from mmrace.windows.plan import Plan
from mmrace.windows.search import SearchPlan, Site

FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
WORKLOAD = Workload(
    name="w",
    summary="",
    source=Source.STRESSOR,
    argv=("w",),
    sources=("w.c",),
    silence=5,
    min_counts={"turns": 3},
    invariants=(),
)
RACE = Race(
    name="r",
    title="",
    summary="",
    signature=(Signature(report="kernel BUG at mm/it.c"),),
    workload=(WORKLOAD,),
)
GOOD = """console booting
channel KTAP version 1
channel # release 6.1.192
channel # start w
channel # out mmrace: race
channel # out mmrace: count turns 4
channel ok 1 - w # exit=0 seconds=2.00
channel 1..1
channel # end
poweroff
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return Home(tmp_path / "cache", tmp_path / "data")


def spec(**changes):
    """A cell's spec."""
    known = {
        "id": "20260101-000000-r-w-0000",
        "race": RACE,
        "workload": WORKLOAD,
        "machine": Machine(name="m", summary="", node=(Node(memory=64, hugepages=2),)),
        "tree": "t",
        "revision": "0" * 40,
        "series": ("fixes",),
        "kernel_id": "k",
        "release": "6.1.192",
        "program": "p",
        "accel": "tcg",
        "steered": False,
        "seconds": 1,
        "seed": 7,
        "boot": ("console=ttyS0",),
        "command": "mmrace run",
    }
    return Spec(**{**known, **changes})


def run(home, tmp_path, script, director=None, **changes):
    kernel, config, image = (tmp_path / name for name in ("kernel", "config", "image"))
    kernel.write_text(script, encoding="utf-8")
    config.write_text("CONFIG_SMP=y\n")
    image.write_bytes(b"")
    parts = Parts(kernel, config, image, Accel("tcg", "asked for"), director=director)
    return run_workload(home, spec(**changes), parts, str)


def test_a_run_directory_holds_the_whole_run(home, tmp_path):
    made = run(home, tmp_path, GOOD)
    assert made.judgement().outcome is Outcome.PASS
    assert made.judgement().exercised == {"turns": (4, 3)}
    names = {path.name for path in made.folder.iterdir()}
    assert names == {
        "spec.json",
        "qemu.json",
        "config",
        "console.log",
        "console.times",
        "crashes.json",
        "channel.log",
        "channel.times",
        "outcome.json",
    }
    assert made.spec().seed == 7
    assert made.vm().argv[0] == "qemu-system-x86_64"
    assert json.loads(json.dumps(made.as_json()))["outcome"] == "PASS"


def test_a_run_can_be_judged_again_from_disk(home, tmp_path):
    made = run(home, tmp_path, GOOD)
    assert judge(recorded_evidence(find_run(home, "r-w-0000"))) == made.judgement()


@pytest.mark.parametrize(("holds", "outcome"), [(3, Outcome.PASS), (0, Outcome.HANG)])
def test_a_watchdog_that_the_holds_of_a_search_woke_is_no_failure(home, tmp_path, holds, outcome):
    """Neither when the run is made nor when it is judged again."""
    said = "console watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [w:77]\nchannel 1..1\n"
    script = GOOD.replace("channel 1..1\n", f"search {holds}\n{said}")
    plan = Plan(search=SearchPlan((Site(1, 0), Site(5, 1)), 2))
    plugin = tmp_path / "director.so"
    plugin.write_bytes(b"")
    made = run(home, tmp_path, script, director=Director(plan, plugin))
    assert made.judgement().outcome is outcome
    assert judge_run(made).outcome is outcome
    searched, _ = read_searched(made)
    assert (searched.counts.holds, len(searched.pairs)) == (holds, 1)


def test_whether_a_run_was_scheduled_is_read_from_a_short_file(home, tmp_path):
    made = run(home, tmp_path, GOOD)
    assert not was_scheduled(made.folder)
    plan = Plan(search=SearchPlan((Site(1, 0), Site(5, 1)), 2))
    with Director(plan, Path("/plugin.so")) as director:
        write_counts(made.folder, director)
        write_seen(made.folder, director, failed=True)
    assert not was_scheduled(made.folder)
    made.folder.joinpath("search-log.json").unlink()
    assert not was_scheduled(made.folder)
    assert made.folder.joinpath("search.json").stat().st_size < 1000


def test_a_workload_may_limit_its_iterations():
    assert workload.job(spec()).iterations == 0
    once = {**WORKLOAD.model_dump(), "iterations": 1}
    assert workload.job(spec(workload=once)).iterations == 1


def test_the_guest_hears_when_its_run_has_its_proof(home, tmp_path):
    script = GOOD.replace(
        "turns 4\n",
        "turns 2\nchannel # note nobody speaks yet\nchannel # out mmrace: count turns 4\nhear\n",
    )
    made = run(home, tmp_path, script)
    assert made.judgement().outcome is Outcome.PASS
    assert b"heard enough" in made.console()


def test_a_run_below_its_min_counts_goes_on_for_as_long_as_it_may(monkeypatch, home, tmp_path):
    assert (workload.job(spec(seconds=5)).seconds, workload.job(spec(seconds=5)).at_most) == (5, 5)
    patient = workload.job(spec(seconds=5, at_most=20))
    assert (patient.seconds, patient.at_most) == (5, 20)
    seen = []

    def spy(_boot, _folder, limits, _hooks):
        seen.append(limits.total)
        raise KeyboardInterrupt

    monkeypatch.setattr(workload, "run_vm", spy)
    for at_most in (5, 20):
        with pytest.raises(KeyboardInterrupt):
            run(home, tmp_path, "", seconds=5, at_most=at_most)
    assert seen[1] - seen[0] == 45


def test_a_tolerated_failure_does_not_end_the_loop():
    known = {"versions": "<5.11", "output": "EIO", "reason": "so it is"}
    ltp = {**WORKLOAD.model_dump(), "source": "ltp", "tolerated": [known]}
    old, new = (workload.job(spec(workload=ltp, release=each)) for each in ("5.9.1+", "5.11.0"))
    assert old.failures > 1000
    assert new.failures is None


def test_the_races_own_crash_ends_the_run_at_once(home, tmp_path):
    script = """channel # start w
console [    1.0] kernel BUG at mm/it.c:12!
console [    1.0] invalid opcode: 0000 [#1] PREEMPT SMP
console [    1.0] CPU: 0 PID: 1 Comm: w Not tainted 6.1.192 #1
console [    1.0] RIP: 0010:it_breaks+0x1/0x2
console [    1.0] Call Trace:
console [    1.0]  <TASK>
console [    1.0]  it_calls+0x1/0x2
console [    1.0]  </TASK>
console [    1.0] ---[ end trace 0000000000000000 ]---
console [    2.0] something else
console [    2.1] ------------[ cut here ]------------
console [    2.1] WARNING: CPU: 0 PID: 9 at mm/other.c:7 other+0x1/0x2
sleep 60
"""
    made = run(home, tmp_path, script)
    judged = made.judgement()
    assert (judged.outcome, judged.signature_matched) == (Outcome.CRASH, True)
    assert made.vm().end is VmEnd.STOPPED
    assert made.vm().seconds < 40


DEAD = "console booting\nchannel KTAP version 1\nchannel # start w\ndie 3\n"


def turns(tmp_path, monkeypatch, *scripts):
    """Let each attempt play the next of the scripts."""
    left = list(scripts)
    real = workload.run_vm

    def next_vm(boot, *rest):
        boot.kernel.write_text(left.pop(0), encoding="utf-8")
        return real(boot, *rest)

    monkeypatch.setattr(workload, "run_vm", next_vm)
    return left


def test_what_shows_nothing_is_run_again_and_says_what_differed(home, tmp_path, monkeypatch):
    left = turns(tmp_path, monkeypatch, DEAD, GOOD)
    made = run(home, tmp_path, "")
    judged = made.judgement()
    assert judged.outcome is Outcome.PASS
    assert not left
    note = next(note for note in judged.notes if note.startswith("two attempts"))
    assert "outcome INFRA QEMU ended with status 3, then PASS" in note
    assert "end QEMU_DIED, then EXITED" in note
    first = made.folder / "attempt-1"
    assert (first / "channel.log").read_bytes().endswith(b"# start w\n")
    assert json.loads((first / "outcome.json").read_text())["outcome"] == "INFRA"
    assert (made.folder / "spec.json").is_file()


def test_it_is_run_again_once_only(home, tmp_path, monkeypatch):
    left = turns(tmp_path, monkeypatch, DEAD, DEAD, GOOD)
    judged = run(home, tmp_path, "").judgement()
    assert judged.outcome is Outcome.INFRA
    assert left == [GOOD]
    assert "two attempts: both INFRA QEMU ended with status 3" in judged.notes


@pytest.mark.parametrize(
    ("config", "stall"),
    [
        ("CONFIG_SMP=y\n", workload.STALL_SECONDS),
        ("# CONFIG_KASAN is not set\n", workload.STALL_SECONDS),
        ("CONFIG_KASAN=y\n", workload.SLOW_STALL_SECONDS),
    ],
)
def test_an_instrumented_kernel_has_more_time(home, tmp_path, monkeypatch, config, stall):
    seen = []

    def spy(_boot, _folder, limits, _hooks):
        seen.append(limits.stall)
        raise KeyboardInterrupt

    monkeypatch.setattr(workload, "run_vm", spy)
    kernel = tmp_path / "kernel"
    for path in (kernel, tmp_path / "image"):
        path.write_bytes(b"")
    (tmp_path / "config").write_text(config)
    parts = Parts(kernel, tmp_path / "config", tmp_path / "image", Accel("tcg", ""))
    with pytest.raises(KeyboardInterrupt):
        run_workload(home, spec(), parts, str)
    assert seen == [stall]


def test_a_guest_below_its_min_counts_did_not_exercise_anything(home, tmp_path):
    made = run(home, tmp_path, GOOD.replace("turns 4", "turns 2"))
    assert made.judgement().outcome is Outcome.NOT_EXERCISED


def test_qemu_that_dies_is_infrastructure(home, tmp_path):
    assert run(home, tmp_path, "die early\n").judgement().outcome is Outcome.INFRA


def test_an_interrupted_run_leaves_nothing(home, tmp_path, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmrace.runs.workload.judge", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(home, tmp_path, GOOD)
    assert list(all_runs(home)) == []
    assert list(home.runs.iterdir()) == []


def test_a_disk_that_gets_full_in_a_run_leaves_nothing(home, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mmrace.guests.log.Log.save", full)
    with pytest.raises(OSError, match="No space"):
        run(home, tmp_path, GOOD)
    assert list(home.runs.iterdir()) == []


def test_a_guest_that_prints_without_end_is_cut_off_and_the_run_says_so(
    home, tmp_path, monkeypatch
):
    monkeypatch.setattr("mmrace.guests.log.LOG_CAP", 4 << 10)
    script = GOOD.replace("console booting\n", f"console {'x' * 6000}\n")
    done = run(home, tmp_path, script)
    assert len(done.console()) == 4 << 10
    assert done.judgement().notes == ("the console log ends at 0 MiB: 1906 bytes more came",)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("channel # start probe\npoweroff\n", ""),
        ("die early\n", "could not set up the machine"),
        ("console KVM internal error. Suberror: 1\ndie 1\n", "KVM internal error"),
    ],
)
def test_the_kvm_probe_tells_what_went_wrong(home, tmp_path, script, fault):
    kernel, image = tmp_path / "kernel", tmp_path / "image"
    kernel.write_text(script)
    image.write_bytes(b"")
    machine = Machine(name="m", summary="", node=(Node(memory=64),))
    found = probe_kvm(home, machine, kernel, image)
    assert fault in found
    assert bool(found) == bool(fault)


def test_a_run_keeps_and_reads_its_crashes_whatever_else_was_imported(home):
    made = made_run(home.runs, console=BOOT + BUG)
    program = (
        "import sys; from pathlib import Path; from mmrace.runs.record import RunDir\n"
        "run = RunDir(Path(sys.argv[1])); run.keep_crashes(run.crashes())\n"
        "print(run.crashes()[0].title)"
    )
    argv = [sys.executable, "-c", program, str(made.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == "kernel BUG in made_to_fail\n", done.stderr
