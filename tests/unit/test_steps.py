# SPDX-License-Identifier: GPL-2.0-only
"""Steps as a log file or a pipe gets them, and as a terminal does."""

import io
import re
import time

import pytest
from rich.console import Console

from mmrace.progress import Counted, rough_clock
from mmrace.terminal.lines import wrap_text
from mmrace.terminal.steps import show_step, time_left


def lines(*states: str, error: type[BaseException] | None = None) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=200)

    def step() -> None:
        with show_step(console, "build", live=False, known=set()) as tell:
            for state in states:
                tell(state)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            step()
    else:
        step()
    return out.getvalue().splitlines()


def test_a_quick_step_says_its_result_alone() -> None:
    assert lines("compiling a.o", "= abc, reused") == ["build: abc, reused (0.0 s)"]


def test_a_wait_for_somebody_else_is_said_at_once() -> None:
    shown = lines("waiting for bench-6.1: pid 7 on host since noon", "= abc")
    assert shown[0].startswith("build: waiting for bench-6.1: pid 7 on host")
    assert shown[1] == "build: abc (0.0 s)"


def test_an_interrupt_is_no_failure() -> None:
    assert lines("compiling a.o", error=KeyboardInterrupt) == ["build: interrupted (0.0 s)"]
    assert lines("compiling a.o", error=ValueError) == ["build: failed (0.0 s)"]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, soft_wrap=True)


def screens(console: Console) -> list[str]:
    """What a terminal showed: each line that was drawn, without colours and cursor moves."""
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line for line in re.split(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize("width", [80, 120])
def test_a_live_line_keeps_its_times_and_is_one_line(width: int) -> None:
    console = terminal(width)
    with show_step(console, "race/workload on " + "x" * 60, live=True, known=set()) as tell:
        tell("count probe:retractions " + "9" * 60)
        time.sleep(0.6)
    live = screens(console)
    assert {line[:6] for line in live} <= {"[0 s] ", "[1 s] "}
    assert max(map(len, live)) == width


def test_the_same_quick_step_is_said_once() -> None:
    console = Console(file=io.StringIO(), width=200)
    known: set[str] = set()
    for result in ("= Linux 6.1", "= Linux 6.1", "= Linux 7.3"):
        with show_step(console, "tree", live=False, known=known) as tell:
            tell(result)
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert shown == ["tree: Linux 6.1 (0.0 s)", "tree: Linux 7.3 (0.0 s)"]


def test_a_terminal_breaks_lines_between_words_and_no_path() -> None:
    path = "/" + "p" * 50
    text = f"file: if failures come at a constant rate (assumed): see {path}"
    assert wrap_text(text, terminal(40)).splitlines() == [
        "file: if failures come at a constant",
        "  rate (assumed): see",
        f"  {path}",
    ]
    assert wrap_text(text, Console(file=io.StringIO(), width=40)) == text


def test_time_left_is_a_rough_estimate() -> None:
    assert time_left(Counted(10, 40, "a.o"), 20.0) == "1 min 00 s left"
    assert time_left(Counted(10, 40, "a.o"), 4.9) == ""
    assert time_left(Counted(1, 1000, "a.o"), 25.0) == ""  # it had been told as 7 hours
    assert rough_clock(42.4) == "42 s"
