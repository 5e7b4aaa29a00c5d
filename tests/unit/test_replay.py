# SPDX-License-Identifier: GPL-2.0-only
"""What replays add up to, and what a machine that still runs is asked."""

import pytest

from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.experiments.replaying import Replayed
from mmrace.guests.attempts import Attempt, Replay
from mmrace.judging.oracle import Oracle
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.replay import Replays

WARNING = (
    b"[    5.0] ------------[ cut here ]------------\n"
    b"[    5.0] WARNING: CPU: 0 PID: 1 at kernel/smp.c:7 %s+0x5a/0x61\n"
    b"[    5.0] RIP: 0010:%s+0x5a/0x61\n"
    b"[    5.0] Call Trace:\n"
    b"[    5.0]  its_caller+0x1/0x2\n"
    b"[    5.0] ---[ end trace 0000000000000000 ]---\n"
)
STALL = (
    b"[   30.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [x:12]\n"
    b"[   30.0] RIP: 0010:stuck_here+0x1/0x2\n"
    b"[   30.0] something else\n"
)
BEFORE = b"KTAP version 1\n# start w\n# out mmrace: race\n"


def oracle():
    workload = Workload(
        name="w", summary="", source=Source.STRESSOR, argv=("w",), sources=("w.c",),
        min_counts={"iterations": 1},
    )  # fmt: skip
    signatures = (Signature(title="race_here"), Signature(output="^mmrace: fail stale"))
    race = Race(name="r", title="", summary="", signature=signatures, workload=(workload,))
    return Oracle(race, workload)


def warning(function):
    return WARNING % (function, function)


def test_the_race_s_own_report_is_known_once_it_is_complete():
    watching = oracle()
    report = warning(b"race_here")
    assert watching.ask(report[:-60], BEFORE) is None
    judged = watching.ask(report, BEFORE)
    assert judged.signature_matched


def test_another_report_is_a_failure_of_another_kind():
    judged = oracle().ask(warning(b"elsewhere"), BEFORE)
    assert judged.outcome is Outcome.CRASH
    assert not judged.signature_matched


def test_a_report_without_an_end_is_complete_when_the_console_falls_silent():
    watching = oracle()
    report = warning(b"race_here").rpartition(b"[")[0].rpartition(b"[")[0]
    assert watching.ask(report, BEFORE) is None
    assert watching.ask(report, BEFORE, silent=True).signature_matched


def test_what_the_workload_says_counts():
    watching = oracle()
    assert watching.ask(b"", BEFORE + b"# out quiet\n") is None
    judged = watching.ask(b"", BEFORE + b"# out mmrace: fail stale event\n")
    assert judged.outcome is Outcome.FAIL
    assert judged.signature_matched


def test_a_watchdog_that_a_hold_woke_is_no_failure():
    watching = oracle()
    assert watching.ask(STALL, BEFORE, silent=True) is None
    assert watching.stalls == 1


def replay(steps, failure=None, *, infeasible=False):
    attempt = Attempt(steps, infeasible)
    return Replay((attempt,), 2, failure, 1.0)


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ((2,), True),
        ((1, 2), True),
        ((2, 0), True),  # before another order had begun
        ((2, 1), False),
        ((1,), False),
        ((0,), False),
        ((), False),
    ],
)
def test_a_failure_shows_right_after_the_whole_order(made: tuple[int, ...], shown: bool) -> None:
    attempts = tuple(Attempt(steps) for steps in made)
    assert Replay(attempts, 2, OWN, 1.0).shown is shown
    assert not Replay(attempts, 2, FOREIGN, 1.0).shown


OWN = Judgement(Outcome.CRASH, title="race_here", signature_matched=True)
FOREIGN = Judgement(Outcome.CRASH, title="elsewhere")


@pytest.mark.parametrize(
    ("done", "code", "counts"),
    [
        ((replay(2), replay(2)), 0, (0, 2, 2, 0)),
        ((replay(2), replay(2, OWN)), 1, (1, 2, 2, 0)),
        ((replay(2), replay(1, infeasible=True)), 3, (0, 2, 1, 1)),
        ((replay(0),), 3, (0, 0, 0, 0)),
        ((replay(2, FOREIGN),), 3, (0, 1, 1, 0)),
    ],
)
def test_what_is_no_failure_is_a_pass_only_when_all_was_carried_out(done, code, counts):
    replays = Replays(done)
    assert Replayed(None, None, replays).exit_code == code
    assert (replays.failed, replays.reached, replays.complete, replays.infeasible) == counts


def test_other_failures_are_named():
    assert Replays((replay(2, FOREIGN), replay(2, OWN))).foreign == ("elsewhere",)


def test_a_failure_right_after_the_whole_order_is_told_from_one_of_itself():
    assert Replays((replay(2, OWN), replay(1, OWN), replay(2, FOREIGN), replay(2))).shown == 1
