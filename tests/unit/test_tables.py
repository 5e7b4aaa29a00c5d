# SPDX-License-Identifier: GPL-2.0-only
"""Tables fit a terminal of 80 columns, a row in one line where that is wanted."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from made_runs import made_run
from mmrace.answers.answer import Table
from mmrace.answers.races import race_list
from mmrace.answers.runs import run_list
from mmrace.definitions.race import race_names
from mmrace.home import Home
from mmrace.runs.record import find_run, last_runs
from mmrace.terminal.tables import rich_table

RUN = "20261129-120059-exec-stack-migration-exec-storm-slow-cdb929e6"


def lines(table: Table, *, colours: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=80, force_terminal=colours)
    console.print(rich_table(table))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_row_is_one_line_whose_end_is_cut() -> None:
    table = Table(("run", "outcome", "kernel"), [(RUN, "CRASH", "vulnerable + fixes")], cut=True)
    head, row = lines(table)
    assert row.startswith(f"{RUN}  CRASH")
    assert max(len(head), len(row)) <= 80


def test_any_other_table_folds() -> None:
    made = lines(Table(("run", "what"), [(RUN, "a long text " * 9)]))
    assert len(made) > 2
    assert max(map(len, made)) <= 80


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(("outcome",), [("CRASH (foreign)",), ("PASS",)])
    assert not any("\x1b" in line for line in lines(table))
    assert any("\x1b[1;31mCRASH" in line for line in lines(table, colours=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("31m" in line for line in lines(table, colours=True))


def test_a_list_of_runs_says_all_in_a_line_and_names_each_as_commands_take_it(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path, tmp_path)
    made_run(home.runs, name=RUN, race="exec-stack-migration", series=("vulnerable", "fixes"))
    head, row = lines(*run_list(last_runs(home, 1)).text)  # type: ignore[arg-type]
    assert head.split() == ["UTC", "run", "race/workload", "outcome", "kernel"]
    words = ["11-29", "12:00", "cdb929e6", "exec-stack-migration/w", "PASS", "vulnerable+fixes"]
    assert row.split() == words
    assert find_run(home, words[2]).id == RUN
    made_run(home.runs, name="30000101-000000-an-id-of-another-form", race="exec-stack-migration")
    _, other = lines(*run_list(last_runs(home, 1)).text)  # type: ignore[arg-type]
    assert other.split()[0] == "30000101-000000-an-id-of-another-form"


def test_the_list_of_races_has_a_line_for_each() -> None:
    head, *rows = lines(*race_list().text)  # type: ignore[arg-type]
    assert head.split() == ["race", "bug"]
    assert [row.split()[0] for row in rows] == race_names()
