# SPDX-License-Identifier: GPL-2.0-only
"""Steps as plain lines: what a log file or a pipe gets."""

import io

import pytest
from rich.console import Console

from mmrace.terminal.steps import shown


def lines(*states: str, error: type[BaseException] | None = None) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=200)

    def step() -> None:
        with shown(console, "build", live=False) as tell:
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
    said = lines("waiting for bench-6.1: pid 7 on host since noon", "= abc")
    assert said[0].startswith("build: waiting for bench-6.1: pid 7 on host")
    assert said[1] == "build: abc (0.0 s)"


def test_an_interrupt_is_no_failure() -> None:
    assert lines("compiling a.o", error=KeyboardInterrupt) == ["build: interrupted (0.0 s)"]
    assert lines("compiling a.o", error=ValueError) == ["build: failed (0.0 s)"]
