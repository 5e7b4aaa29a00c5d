# SPDX-License-Identifier: GPL-2.0-only
"""Every way a guest can end gives an outcome of its own, on a real kernel."""

import os
import subprocess
from pathlib import Path

import pytest

from mmrace.definitions.machine import Machine, Node, load_machine
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.guests.accel import Accel
from mmrace.home import Home
from mmrace.outcome import Outcome
from mmrace.runs import record, workload
from mmrace.runs.parts import Parts
from mmrace.runs.workload import run_workload
from mmrace.userland.image import make_image
from mmrace.userland.program import build_init

pytestmark = pytest.mark.mmrace(series=("vulnerable", "fixes"))
GUEST = Path(__file__).parents[2] / "qemu" / "guest"


@pytest.fixture(scope="module")
def home():
    return Home.from_environment(os.environ)


@pytest.fixture(scope="module")
def image(home, tmp_path_factory):
    program = tmp_path_factory.mktemp("guest") / "misbehave"
    source = Path(__file__).with_name("misbehave.c")
    command = ["gcc", "-static", "-O2", "-Wall", "-I", GUEST, "-o", program, source]
    subprocess.run(command, check=True)
    return make_image(home, build_init(home, str), [program])


@pytest.fixture
def run(home, image, mmrace_kernel, tmp_path):
    """Run the misbehaving workload; the run directory is the test's own."""
    kernel = mmrace_kernel.kernel

    def call(how, *, memory=None, boot=(), turns=5, seconds=1, at_most=None, silence=5):
        workload = Workload(
            name="misbehave",
            summary="",
            source=Source.STRESSOR,
            argv=("misbehave", how),
            sources=("misbehave.c",),
            silence=silence,
            min_counts={"turns": turns},
        )
        race = Race(
            name="ends",
            title="",
            summary="",
            signature=(Signature(output="mmrace: fail it was seen"),),
            workload=(workload,),
        )
        machine = load_machine("numa2")
        if memory:
            machine = Machine(
                name="small", summary="", node=(Node(memory=memory),), boot=machine.boot
            )
        spec = record.Spec(
            id=record.new_id("ends", how),
            race=race,
            workload=workload,
            machine=machine,
            tree="debian:6.1",
            revision="",
            series=("vulnerable", "fixes"),
            kernel_id=kernel.id,
            release=kernel.release,
            program="",
            accel="tcg",
            steered=False,
            seconds=seconds,
            at_most=at_most,
            seed=1,
            boot=(*machine.boot, *boot),
            command="",
        )
        parts = Parts(kernel.image, kernel.config, image, Accel("tcg", "a test"))
        return run_workload(Home(tmp_path / "cache", tmp_path / "data"), spec, parts, str)

    return call


def test_a_workload_that_holds_passes(run):
    made = run("hold")
    assert made.judgement().outcome is Outcome.PASS, made.judgement()


def test_a_run_goes_on_until_it_has_its_min_counts(run):
    judged = run("work", turns=8, seconds=1, at_most=120).judgement()
    assert judged.outcome is Outcome.PASS, judged
    assert judged.exercised["turns"][0] in range(8, 14)
    assert 8 * 0.5 <= judged.stressed < 60


def test_a_run_that_has_its_min_counts_takes_its_least_time(run):
    judged = run("work", turns=1, seconds=4, at_most=60).judgement()
    assert judged.outcome is Outcome.PASS, judged
    assert judged.exercised["turns"][0] > 3
    assert 4 <= judged.stressed < 20


def test_a_run_that_does_not_get_there_ends_at_its_most_time(run):
    made = run("work", turns=10**6, seconds=1, at_most=4)
    assert made.judgement().outcome is Outcome.NOT_EXERCISED
    assert 2 < made.judgement().stressed <= 4.5


def test_a_panic_is_a_crash_but_not_the_races_own(run):
    judged = run("crash").judgement()
    assert (judged.outcome, judged.signature_matched) == (Outcome.CRASH, False)
    assert "sysrq" in judged.title


def test_a_reset_without_a_report_is_a_crash(run):
    # Linux tries the keyboard controller for seconds before it gives the triple fault a chance.
    judged = run("reset", silence=30).judgement()
    assert judged.outcome is Outcome.CRASH
    assert "reset" in judged.title


def test_silence_is_a_hang_with_the_registers_kept(run):
    made = run("silence")
    assert made.judgement().outcome is Outcome.HANG
    assert "RIP" in (made.folder / "registers.txt").read_text()


def test_a_guest_out_of_memory_tested_nothing(run):
    judged = run("memory", memory=256).judgement()
    assert judged.outcome is Outcome.NOT_EXERCISED
    assert any("memory" in note.lower() for note in judged.notes), judged.notes


def test_a_panic_for_want_of_memory_says_so(run):
    judged = run("memory", memory=256, boot=("sysctl.vm.panic_on_oom=1",)).judgement()
    assert judged.outcome is Outcome.CRASH
    assert not judged.signature_matched
    assert "memory" in judged.title.lower()


def test_a_workload_that_cannot_set_up_tested_nothing(run):
    judged = run("broken").judgement()
    assert judged.outcome is Outcome.NOT_EXERCISED
    assert any("setting up" in note for note in judged.notes), judged.notes


def test_a_failure_that_the_workload_saw(run):
    judged = run("fail").judgement()
    assert (judged.outcome, judged.signature_matched) == (Outcome.FAIL, True)


def test_a_kernel_that_never_starts_its_workload_is_infrastructure(run, monkeypatch):
    monkeypatch.setattr(workload, "BOOT_SECONDS", 8)
    judged = run("hold", boot=("rdinit=/nowhere",)).judgement()
    assert judged.outcome in (Outcome.INFRA, Outcome.CRASH)
    assert judged.title
