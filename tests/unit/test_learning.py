# SPDX-License-Identifier: GPL-2.0-only
"""What a reproducer's failure is, and what proves that it was exercised, where nobody says so."""

import re

from test_judge import BOOT, END
from test_reproducer import BEGIN
from test_resolve import program  # noqa: F401  a fixture

from mmrace.definitions.race import Execution, FailsBy, Race
from mmrace.definitions.reproducer import (
    Reproducer,
    knows_failure,
    with_failure,
    with_functions,
    with_min_counts,
)
from mmrace.judging.evidence import Evidence
from mmrace.judging.exercise import ENOUGH, Exercise
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd
from mmrace.runs.exercise import fit_to_kernel, min_counts
from mmrace.symbols.countable import Countable, find_countable
from mmrace.symbols.resolve import Resolver
from mmrace.symbols.unprobeable import Unprobeable
from mmrace.userland.image import Job
from mmrace.verdicts.learning import Learning

COUNTED = (("walk", "mm/rmap.c"), ("free_it", "mm/memory.c"))


def test_a_fix_whose_code_was_not_executed_is_not_exercised_and_is_named() -> None:
    race = with_functions(Reproducer((("w.c", b""),)).race(Execution()), COUNTED)
    channel = "# count probe:walk {}\nok 1 - w # exit=0 seconds=1\n" + END

    def run(executed: int, race: Race = race) -> Judgement:
        output = (BEGIN + channel.format(executed)).encode()
        return judge(Evidence(race, race.workload[0], VmEnd.EXITED, BOOT.encode(), output))

    never = run(0)
    assert never.outcome is Outcome.NOT_EXERCISED
    assert never.notes == ("executions of walk, free_it: 0, at least 1 wanted",)
    assert run(1).outcome is Outcome.PASS
    seldom = run(9, with_min_counts(race, {"probe:walk": 10}))
    assert seldom.outcome is Outcome.NOT_EXERCISED
    assert seldom.notes == ("probe:walk: 9, at least 10 wanted",)


def test_nothing_is_asked_where_nothing_can_be_counted() -> None:
    plain = Reproducer((("w.c", b""),)).race(Execution())
    assert with_functions(plain, ()).workload == plain.workload


def test_what_is_asked_is_a_tenth_of_what_the_bad_kernel_executed() -> None:
    runs = [{"probe:walk": 1000, "iterations": 3}, {"probe:walk": 10}, {"probe:walk": 100}]
    assert min_counts(runs) == {"probe:walk": 10}
    # Two runs that crashed before anything was counted say nothing.
    assert min_counts([{"probe:walk": 0}, {}, {"probe:walk": 5}]) == {"probe:walk": 1}
    assert min_counts([{"probe:walk": 0}, {}]) == {}


def test_dropped_calls_excuse_a_function_whose_caller_is_asked_for() -> None:
    run = {"probe:a": 100, "probe:b": 100, "probe:c": 100}
    dropped = {("a", "b"), ("b", "c"), ("elsewhere", "a")}
    assert min_counts([run], dropped) == {"probe:a": 10}
    assert min_counts([run], {("a", "b"), ("b", "a")}) == {f"probe:{n}": 10 for n in "abc"}


def test_a_kernel_is_not_asked_for_functions_that_it_does_not_have() -> None:
    race = with_functions(Reproducer((("w.c", b""),)).race(Execution()), COUNTED)
    race = with_min_counts(race, {"probe:walk": 10, "probe:free_it": 10})
    absent = Countable({"walk": (0x10, 0x20)}, {"free_it": "this kernel has no code of it"})
    fitted = fit_to_kernel(race.workload[0], absent)
    assert fitted.workload.min_counts == {"executions": 1, "functions": 1, "probe:walk": 10}
    assert fitted.notes == ("free_it is not counted: this kernel has no code of it",)
    job = Job("w", ("w",), 1, probes=race.probe, places=fitted.places).render()
    assert "probe walk +0x10+0x20\n" in job
    assert "free_it" not in job
    nothing = fit_to_kernel(race.workload[0], Countable({}, dict.fromkeys(("walk", "free_it"), "")))
    assert nothing.workload.min_counts == {"executions": 1}


def test_copies_that_the_compiler_inlined_are_counted_too(program) -> None:  # noqa: F811
    free = Unprobeable(())
    resolver = Resolver(program, "small")
    functions = [("clear", ""), ("leaf", "small.c"), ("nowhere", "")]
    found = find_countable(resolver, free, functions)
    assert set(found.places) == {"clear", "leaf"}
    assert found.refused == {"nowhere": "this kernel has no code of it"}
    at = found.places["clear"][0]
    taken = find_countable(resolver, Unprobeable(((at, at + 1, "entry_text"),)), functions[:1])
    assert taken.refused == {"clear": "kprobes cannot be in entry_text"}


Run = tuple[Judgement, tuple[str, ...], tuple[str, ...]]


def crashed(title: str, *stack: str, others: tuple[str, ...] = ()) -> Run:
    return Judgement(Outcome.CRASH, title, signature_matched=True), stack, others


def learn(*runs: Run, budget: int = 20) -> Learning:
    learning = Learning(budget)
    for run in runs:
        assert not learning.done
        learning.record(*run)
    return learning


HELD: Run = (Judgement(Outcome.PASS), (), ())


def test_the_failure_is_the_title_that_three_runs_share() -> None:
    race = ("KASAN: slab-use-after-free Read in foo", "kasan_report", "foo", "do_syscall_64")
    other = crashed("WARNING in bar", "bar")
    learning = learn(crashed(*race), other, HELD, crashed(*race), crashed(*race))
    assert learning.done
    failure = learning.failure()
    assert failure
    assert str(failure) == f"taking `{race[0]}`, 3 of 5 runs"
    assert failure.stack == ("foo",)
    assert re.search(failure.title, race[0])
    assert not re.search(failure.title, race[0] + "bar")


def test_a_crash_in_many_places_is_known_by_what_all_its_traces_have() -> None:
    runs = [
        crashed(f"general protection fault in {name}", name, "walk", "migrate", "ksys_move_pages")
        for name in "abcdef"
    ]
    learning = learn(*runs)
    failure = learning.failure()
    assert learning.done
    assert failure
    assert failure.name == "any crash in walk"
    assert re.search(failure.report, "? walk+0x12/0x30")
    assert not re.search(failure.report, "sleepwalk+0x12/0x30")


def in_tree(caller: str, call: str = "__x64_sys_move_pages") -> Run:
    others = ("general protection fault in tree_next",)
    return crashed(f"general protection fault in {caller}", caller, "walk", call, others=others)


def test_a_crash_in_a_helper_is_the_failure_by_whichever_caller() -> None:
    failure = learn(in_tree("unmap"), in_tree("unmap"), in_tree("unmap")).failure()
    assert failure
    assert failure.name == "general protection fault in unmap"
    [(title, report)] = failure.also
    assert re.search(title, "general protection fault in tree_next")
    assert not re.search(title, "general protection fault in tree_next_entry")
    assert re.search(report, " __x64_sys_move_pages+0x12/0x30")
    assert not re.search(report, " __x64_sys_munmap+0x12/0x30")


def test_a_crash_in_a_helper_needs_what_all_call_traces_share() -> None:
    failure = learn(in_tree("unmap"), in_tree("unmap"), in_tree("unmap", "sys_munmap")).failure()
    assert failure
    assert [report for _, report in failure.also] == [r"\bwalk\b"]
    anywhere = ("KASAN: use-after-free Read in memcpy",)
    failure = learn(*[crashed("a", name, others=anywhere) for name in "xyz"]).failure()
    assert failure
    assert not failure.also


def test_what_one_helper_has_in_its_title_is_not_foreign() -> None:
    unmap, move = in_tree("unmap"), in_tree("move")
    learning = learn(unmap, crashed("WARNING in other", "other"), unmap, unmap)
    learning.record(*move)
    failure = learning.failure()
    assert failure
    assert learning.foreign(failure) == (("WARNING in other", 1),)


def test_runs_that_name_different_callers_share_the_helper() -> None:
    learning = learn(in_tree("unmap"), HELD, in_tree("move"), in_tree("unmap"))
    failure = learning.failure()
    assert failure
    assert str(failure) == "taking `general protection fault in tree_next`, 3 of 4 runs"
    assert failure.name == "general protection fault in tree_next"
    assert re.search(failure.title, failure.name)
    assert re.search(failure.report, "__x64_sys_move_pages+0x1/0x2")


def test_all_names_of_a_learnt_failure_become_signatures() -> None:
    race = Reproducer((("x.c", b""),)).race(Execution(fails_by=(FailsBy.EXIT,)))
    failure = learn(in_tree("unmap"), in_tree("unmap"), in_tree("unmap")).failure()
    assert failure
    made = with_failure(race, failure.title, failure.report, failure.also)
    assert [(one.title, one.report) for one in made.signature] == [
        (failure.title, ""),
        *failure.also,
        ("", ""),
    ]
    assert knows_failure(made)


def test_nothing_is_taken_that_fewer_runs_share() -> None:
    learning = learn(HELD, crashed("a", "x"), HELD, crashed("b", "y"), HELD, budget=5)
    assert learning.done
    assert learning.failure() is None
    assert learning.titles == (("a", 1), ("b", 1))
    assert not learn(crashed("a"), crashed("a")).done


def test_runs_that_are_not_the_kernels_failure_teach_nothing() -> None:
    void: Run = (Judgement(Outcome.NOT_EXERCISED), (), ())
    foreign: Run = (Judgement(Outcome.HANG, "no progress for 60 s"), (), ())
    assert learn(void, foreign, foreign, foreign, budget=4).failure() is None


def test_the_host_says_enough_when_a_function_was_executed() -> None:
    exercise = Exercise({"executions": 1, "functions": 1})
    assert exercise.line("# start w") is None
    assert exercise.line("# count probe:walk 0") is None
    assert exercise.line("# count probe:walk 1") == ENOUGH
