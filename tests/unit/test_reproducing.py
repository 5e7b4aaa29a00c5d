# SPDX-License-Identifier: GPL-2.0-only
"""From a reproducer to a verdict: what is learnt on the bad kernel, and what follows of it."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from made_runs import BUG, FAILED, PASSED, made_run
from made_session import made_session
from mmrace.definitions.race import Execution, FailsBy, Race, load_race
from mmrace.definitions.reproducer import Reproducer
from mmrace.errors import UserError
from mmrace.experiments import reproducing
from mmrace.experiments.reproducing import (
    OWN_END,
    Learnt,
    failing_end,
    learn_for_arms,
    learn_for_bisection,
)
from mmrace.experiments.session import Session
from mmrace.experiments.verification import Verification, Verified, works_of
from mmrace.experiments.work import Work
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome, VmEnd
from mmrace.runs.exercise import Touched
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.symbols.resolve import Resolved
from mmrace.verdicts.sight import Sight, sight
from mmrace.verdicts.verdict import Arm, Rules, Verdict

OTHER = BUG.replace(b"made_to_fail", b"someone_else")
CHANGED = (("walk", "mm/rmap.c"), ("free_it", "mm/memory.c"))
HELD = "KTAP version 1\n# start w\n# count probe:walk {}\n# cut seconds=9\n1..0\n# end\n"


def crash(console: bytes = BUG, walk: int = 1000) -> dict[str, Any]:
    channel = f"KTAP version 1\n# start w\n# count probe:walk {walk}\n"
    return {"channel": channel, "console": console, "end": VmEnd.STOPPED}


def held(walk: int = 1000) -> dict[str, Any]:
    return {"channel": HELD.format(walk)}


class Names:
    """The debug information of a kernel in which no driver is built."""

    def resolve(self, points: tuple[str, ...]) -> Resolved:
        if " of drivers/" in points[0]:
            raise UserError(f"no code: {points[0]}")
        return Resolved(points[0], (1,))


class Kernels:
    """Two kernels whose runs are what a test says: the n-th of ``before``, of ``after``."""

    slots = ahead = 1

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = Home(top / "cache", top / "data")
        config = top / "config"
        config.write_text("CONFIG_SMP=y\n")
        self.arms: Any = {
            arm: SimpleNamespace(
                kernel=SimpleNamespace(id=str(arm), config=config, release="6.1.192"),
                applied=SimpleNamespace(commit=str(arm)),
                resolver=Names,
            )
            for arm in Arm
        }
        self.before: list[dict[str, Any]] = [crash()]
        self.steered: dict[str, Any] | None = None  # each steered run of ``before``
        self.after: list[dict[str, Any]] = [held()]
        self.made: Counter[str] = Counter()
        self.notes: list[str] = []
        self.session = made_session(self.home, self.notes.append, self)  # type: ignore[arg-type]

        def plan(work: Work, _planner: object, built: Any, _seed: int, slot: str = "") -> Any:
            return work.race, built.kernel.id, slot

        monkeypatch.setattr(Work, "plan", plan)
        monkeypatch.setattr(Session, "planner", None)
        monkeypatch.setattr(reproducing, "touched_by", lambda *_: Touched(CHANGED))

    def submit(self, plan: Any) -> "Future[tuple[RunDir, ...]]":
        done: Future[tuple[RunDir, ...]] = Future()
        done.set_result(tuple(self._make(*cell) for cell in plan()))
        return done

    def close(self) -> None:
        """Nothing is under way."""

    def _make(self, race: Race, kernel: str, slot: str) -> RunDir:
        runs = self.before if kernel == "before" else self.after
        fields = runs[min(self.made[kernel], len(runs) - 1)]
        if kernel == "before" and race.delays and self.steered:
            fields = self.steered
        self.made[kernel] += 1
        name = f"run-{sum(self.made.values()):03}"
        return made_run(self.home.runs, name=name, slot=slot, of=race, **fields)

    def learn(self, budget: int = 20, **how: Any) -> Learnt:
        crash_wanted = {"crash": how.pop("crash")} if "crash" in how else {}
        options = RunOptions(steer=how.pop("steer", None))
        race = Reproducer((("w.c", b""),)).race(Execution(**how), **crash_wanted)
        return learn_for_arms(self.session, self.arms, race, options, budget)

    def verify(self, learnt: Learnt) -> Verified:
        works, undecided = works_of(learnt.race, RunOptions(), "6.1.192")
        rules = Rules(pairs=20)
        with Verification(self.session, self.arms, works, rules, undecided) as one:
            return one.run()


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    return Kernels(tmp_path, monkeypatch)


def test_the_failure_is_learnt_said_and_others_are_foreign(kernels: Kernels) -> None:
    kernels.before = [crash(), held(), crash(OTHER), crash()]
    learnt = kernels.learn()
    assert learnt.failure
    assert "taking `kernel BUG in made_to_fail`, 3 of 5 runs" in kernels.notes
    assert any("foreign" in note and "someone_else (1)" in note for note in kernels.notes)
    kernels.before, kernels.after = [crash()], [crash(OTHER)]
    done = kernels.verify(learnt)
    assert done.statement.verdict is Verdict.INCONCLUSIVE
    assert not any(run.judgement().signature_matched for arm, run in done.runs if arm is Arm.AFTER)


def test_a_fix_that_holds_is_fixed_and_one_that_fails_is_not(kernels: Kernels) -> None:
    learnt = kernels.learn()
    assert kernels.verify(learnt).statement.verdict is Verdict.FIXED
    kernels.after = [crash()]
    assert kernels.verify(learnt).statement.verdict is Verdict.NOT_FIXED


def test_a_fix_to_code_that_is_never_reached_is_never_fixed_and_named(kernels: Kernels) -> None:
    kernels.before, kernels.after = [crash(walk=0)], [held(walk=0)]
    done = kernels.verify(kernels.learn())
    assert done.statement.verdict is Verdict.INCONCLUSIVE
    after = [run.judgement() for arm, run in done.runs if arm is Arm.AFTER]
    assert {str(one.outcome) for one in after} == {"NOT_EXERCISED"}
    assert after[0].notes[0].startswith("executions of walk, free_it: 0")
    assert done.statement.line.startswith(
        "INCONCLUSIVE: NOT_EXERCISED: the kernel after: executions of walk, free_it: 0"
    )
    assert done.statement.exit_code == 3
    assert len(done.pairs) == 3


def test_after_has_to_execute_a_tenth_of_what_before_did(kernels: Kernels) -> None:
    learnt = kernels.learn()
    assert learnt.race.workload[0].min_counts == {
        "executions": 1,
        "functions": 1,
        "probe:walk": 100,
    }
    kernels.after = [held(walk=99)]
    assert kernels.verify(learnt).statement.verdict is Verdict.INCONCLUSIVE


def test_a_kernel_that_never_fails_is_inconclusive_with_what_would_help(kernels: Kernels) -> None:
    kernels.before = [held()]
    learnt = kernels.learn(budget=4)
    assert kernels.made["before"] == 4
    assert "in 4 runs of the kernel before, 2 of them steered (not once)" in learnt.trouble
    for help_ in ("--for", "kasan", "vCPUs", "--procs"):
        assert help_ in learnt.trouble
    works, _ = works_of(learnt.race, RunOptions(), "6.1.192")
    with Verification(kernels.session, kernels.arms, works, Rules()) as one:
        done = one.undecided(learnt.trouble)
    assert (done.statement.verdict, done.statement.reason) == (Verdict.INCONCLUSIVE, learnt.trouble)
    assert done.statement.exit_code == 3


def test_a_failure_that_was_named_has_to_be_seen_once(kernels: Kernels) -> None:
    kernels.before = [crash(OTHER), crash()]
    learnt = kernels.learn(crash="made_to_fail")
    assert kernels.made["before"] == 2
    assert learnt.race.signature[0].title == "made_to_fail"


def test_the_programs_own_end_where_its_user_says_so(kernels: Kernels) -> None:
    kernels.before = [{"channel": FAILED}]
    learnt = kernels.learn(fails_by=(FailsBy.EXIT,))
    assert learnt.failure
    assert learnt.failure.name == OWN_END
    kernels.after = [{"channel": PASSED.replace("# start w", "# start w\n# count probe:walk 5")}]
    done = kernels.verify(learnt)
    assert done.statement.verdict is Verdict.FIXED
    assert {str(run.judgement().outcome) for _, run in done.runs} == {"FAIL", "PASS"}


def test_a_killed_process_goes_on_with_what_it_has_learnt(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = kernels._make

    def killed(*cell: Any) -> RunDir:
        if kernels.made["before"] == 2:
            raise KeyboardInterrupt
        return make(*cell)

    monkeypatch.setattr(kernels, "_make", killed)
    with pytest.raises(KeyboardInterrupt):
        kernels.learn()
    monkeypatch.setattr(kernels, "_make", make)
    assert len(kernels.learn().runs) == 3
    assert kernels.made["before"] == 3


def test_a_race_that_people_have_written_teaches_nothing(kernels: Kernels) -> None:
    race = load_race("hugetlb-uffd")
    assert learn_for_arms(kernels.session, kernels.arms, race, RunOptions(), 5) == Learnt(race)
    assert not kernels.made


def test_a_bisection_asks_for_the_failing_call_trace(kernels: Kernels) -> None:
    race = Reproducer((("w.c", b""),)).race(Execution())
    work = Work(race, race.workload[0], RunOptions())
    learnt = learn_for_bisection(kernels.session, kernels.arms[Arm.BEFORE], work, 5000)
    assert learnt.race.workload[0].probes == ("made_to_fail", "its_caller", "callers_caller")
    assert learnt.race.workload[0].min_counts == {"executions": 1, "functions": 1}


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (("t", "b", (), None, False), ("t@b", ())),
        (("t", None, ("v",), "s", False), ("t", ("v", "s"))),
        (("t", None, ("v",), "s", True), ("t", ("v",))),
    ],
)
def test_the_end_of_a_bisection_that_fails(arguments: Any, end: Any) -> None:
    *where, fix = arguments
    assert failing_end(*where, fix=fix) == end


def test_a_hang_that_its_user_counts_is_the_races_own_failure() -> None:
    hang = Judgement(Outcome.HANG, "no progress for 60 s", signature_matched=True)
    assert sight(hang) is Sight.SIGNATURE
    assert sight(replace(hang, signature_matched=False)) is Sight.OTHER


def test_functions_beyond_what_can_be_counted_are_said(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tuple((f"f{number}", "mm/many.c") for number in range(30))
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: Touched(many))
    assert len(kernels.learn().race.workload[0].probes) == 24
    assert any(note.endswith("f23; 6 more are not counted") for note in kernels.notes)
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: Touched(()))
    kernels.learn()
    assert "proof of exercise: executions alone, as the series changes no function" in kernels.notes


def test_functions_that_no_kernel_has_take_no_place(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = [(f"f{number}", "drivers/x/y.c") for number in range(20)]
    elsewhere += [(f"f{number}", "arch/arm64/mm/fault.c") for number in range(20)]
    touched = Touched((*elsewhere, *CHANGED))
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: touched)
    assert kernels.learn(steer=True).race.workload[0].probes == ("walk", "free_it")
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: Touched(tuple(elsewhere)))
    kernels.learn()
    text = "proof of exercise: executions alone: the kernels have none of the 40 functions that"
    assert any(note.startswith(text) for note in kernels.notes)


def test_a_function_that_the_fix_does_not_call_any_more_is_not_asked_for_by_itself(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = Touched(CHANGED, frozenset({("free_it", "walk")}))
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: touched)
    both = crash()
    both["channel"] += "# count probe:free_it 40\n"
    kernels.before = [both]
    learnt = kernels.learn()
    min_counts = {"executions": 1, "functions": 1, "probe:free_it": 4}
    assert learnt.race.workload[0].min_counts == min_counts
    kernels.after = [{"channel": HELD.format(0).replace("# cut", "# count probe:free_it 4\n# cut")}]
    assert kernels.verify(learnt).statement.verdict is Verdict.FIXED
    kernels.after = [{"channel": HELD.format(0).replace("# cut", "# count probe:free_it 3\n# cut")}]
    assert kernels.verify(learnt).statement.verdict is Verdict.INCONCLUSIVE


def test_a_call_that_is_dropped_where_the_program_never_is_excuses_nothing(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = Touched(CHANGED, frozenset({("free_it", "walk")}))
    monkeypatch.setattr(reproducing, "touched_by", lambda *_: touched)
    assert kernels.learn().race.workload[0].min_counts["probe:walk"] == 100


def test_where_only_steered_runs_fail_the_campaign_is_steered(kernels: Kernels) -> None:
    kernels.before, kernels.steered = [held()], crash(walk=50)
    learnt = kernels.learn()
    assert [run.spec().steered for run in learnt.runs] == [False, True, True, True]
    assert learnt.race.delays
    assert learnt.race.delays.points == (
        ("anywhere in mm/rmap.c:walk",),
        ("anywhere in mm/memory.c:free_it",),
    )
    assert learnt.race.workload[0].min_counts["probe:walk"] == 5
    note = "0 of 1 runs failed unsteered; 3 of 3 runs failed with delays in these functions"
    assert note in kernels.notes
    done = kernels.verify(learnt)
    assert done.statement.verdict is Verdict.FIXED
    assert all(run.spec().steered for _, run in done.runs)
    assert learnt.document()["learnt"]["steered"] is True  # type: ignore[index]


def test_a_bug_that_shows_in_every_run_is_not_steered(kernels: Kernels) -> None:
    learnt = kernels.learn()
    assert [run.spec().steered for run in learnt.runs] == [False] * 3
    assert learnt.race.delays is None


def test_where_steering_helps_no_more_the_campaign_is_not_steered(kernels: Kernels) -> None:
    kernels.before = [crash(), held(), held(), held(), crash()]
    kernels.steered = held()
    learnt = kernels.learn()
    steered = [run.spec().steered for run in learnt.runs]
    assert steered == [False, False, True, False, False, False]
    assert learnt.race.delays is None
    assert learnt.race.workload[0].min_counts["probe:walk"] == 100


@pytest.mark.parametrize("steer", [True, False])
def test_a_user_chooses_whether_the_bad_kernel_is_steered(kernels: Kernels, steer: bool) -> None:
    learnt = kernels.learn(steer=steer)
    assert {run.spec().steered for run in learnt.runs} == {steer}
    assert (learnt.race.delays is not None) is steer
