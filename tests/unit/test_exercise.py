# SPDX-License-Identifier: GPL-2.0-only
"""When the host says that a run has its proof."""

from hypothesis import given
from hypothesis import strategies as st

from mmrace.judging.channel import parse
from mmrace.judging.exercise import ENOUGH, Exercise

START = "# start w"


def answers(exercise: Exercise, *lines: str) -> list[bytes | None]:
    return [exercise.line(line) for line in lines]


def test_the_word_comes_with_the_last_count_and_once() -> None:
    exercise = Exercise({"moved": 10, "probe:huge": 2})
    assert (
        answers(
            exercise,
            "# count probe:huge 5",
            START,
            "# out mmrace: count moved 7",
            "# count probe:huge 2",
        )
        == [None] * 4
    )
    assert exercise.missing() == {"moved": 3}
    assert exercise.line("# out mmrace: count moved 10") == ENOUGH
    assert exercise.missing() == {}
    assert answers(exercise, "# out mmrace: count moved 11", "# count probe:huge 3") == [None] * 2


def test_iterations_add_up() -> None:
    exercise = Exercise({"moved": 10, "iterations": 2})
    assert (
        answers(
            exercise,
            START,
            "# out mmrace: count moved 7",
            "ok 1 - w # exit=0 seconds=2.5 raced=2.4",
            "# out mmrace: count moved 7",
        )
        == [None] * 4
    )
    assert exercise.line("ok 2 - w # exit=0 seconds=2.5 raced=2.4") == ENOUGH


def test_ltp_is_counted_by_its_summary() -> None:
    exercise = Exercise({"ltp:passed": 2})
    assert answers(exercise, START, "# out passed 9", "# out Summary:") == [None] * 3
    assert exercise.line("# out passed   2") == ENOUGH


def test_nothing_counts_before_the_workload_has_started() -> None:
    exercise = Exercise({"probe:huge": 1})
    assert exercise.line("# count probe:huge 5") is None
    assert exercise.line(START) == ENOUGH


def test_a_program_that_never_returns_is_counted_while_it_runs() -> None:
    exercise = Exercise({"executions": 2})
    assert answers(exercise, START, "# alive") == [None, None]
    assert exercise.line("ok 1 - w # exit=0 seconds=2.5 raced=2.5") == ENOUGH


LINES = st.sampled_from(
    [
        "# out mmrace: count a 3",
        "# out mmrace: count a 9",
        "# out mmrace: count b 1",
        "# count vmstat:x 4",
        "# count a 2",
        "# out Summary:",
        "# out passed   1",
        "# out warnings 0",
        "# out noise \\x00",
        "ok 1 - w # exit=0 seconds=1 raced=1",
        "not ok 2 - w # exit=1 seconds=1 raced=1",
        "# cut seconds=1 raced=0.5",
        "torn",
    ]
)
COUNTS = st.dictionaries(
    st.sampled_from(["a", "b", "vmstat:x", "ltp:passed", "iterations"]), st.integers(1, 20)
)


@given(st.lists(LINES, max_size=30), COUNTS)
def test_the_word_means_that_the_judge_finds_the_counts(lines: list[str], least: dict) -> None:
    exercise, received = Exercise(least), [START, *lines]
    sent = [number for number, line in enumerate(received) if exercise.line(line)]
    reached = [
        all(
            parse("".join(f"{one}\n" for one in received[: end + 1]).encode()).counters.get(name, 0)
            >= count
            for name, count in least.items()
        )
        for end in range(len(received))
    ]
    assert sent == ([reached.index(True)] if any(reached) else [])
