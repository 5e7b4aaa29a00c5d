# SPDX-License-Identifier: GPL-2.0-only
"""Tables fit a terminal of 80 columns, a row in one line where that is wanted."""

import io

import pytest
from rich.console import Console

from mmrace.answers.answer import Table
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
