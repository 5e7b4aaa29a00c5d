# SPDX-License-Identifier: GPL-2.0-only
"""Reproducers that fork for ever, never return or take what they can; PID 1 stays at work."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from mmrace.definitions.reproducer import EXECUTIONS
from mmrace.experiments.reproducing import race_of
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.runs.options import RunOptions

pytestmark = [pytest.mark.slow, pytest.mark.mmrace(series=("vulnerable", "fixes"))]


@contextmanager
def quiet(_title):
    yield lambda _text: None


@pytest.fixture
def run(mmrace_home, mmrace_kernel):
    """Run the hostile program on a kernel of the races, which has no process limits of its own."""
    session = Session(mmrace_home, quiet, str)
    race = race_of(mmrace_home, [str(Path(__file__).with_name("hostile.c"))], procs=2)

    def call(how):
        workload = race.workload[0].model_copy(update={"argv": ("hostile", how)})
        shared = race.model_copy(update={"own_config": (), "workload": (workload,)})
        return session.run(mmrace_kernel, shared, workload, RunOptions(seconds=4, accel="tcg"))

    return call


@pytest.mark.parametrize("how", ["forks", "memory", "real-time", "for ever"])
def test_a_program_without_end_holds_and_the_guest_comes_to_its_end(run, how):
    made = run(how)
    judged = made.judgement()
    assert judged.outcome is Outcome.PASS, judged
    assert judged.exercised[EXECUTIONS][0] == 1
    assert made.channel().endswith(b"# end\n")


def test_a_program_that_calls_a_shell_finds_one_with_its_commands(run):
    judged = run("shell").judgement()
    assert judged.outcome is Outcome.PASS, judged
    assert judged.exercised[EXECUTIONS][0] > 1
    assert not any("exit code 9" in note or "missed" in note for note in judged.notes), judged.notes


def test_an_attack_on_pid_1_is_shown_and_leaves_the_next_execution_alone(run):
    judged = run("attack").judgement()
    assert judged.outcome is Outcome.PASS, judged
    assert judged.exercised[EXECUTIONS][0] > 1
    assert any("signal 9" in note and "last words" in note for note in judged.notes), judged.notes
    assert "the program missed: open /dev/net/tun: ENOENT" in judged.notes
