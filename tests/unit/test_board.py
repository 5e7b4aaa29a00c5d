# SPDX-License-Identifier: GPL-2.0-only
"""What a command on a cluster shows while it runs."""

import io
from pathlib import Path

from rich.console import Console

from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import print_answer
from mmrace.executors.board import BEGUN, Board
from mmrace.home import Home
from mmrace.terminal.board import BoardTable, keep_board


def shown(board: Board) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=100)
    console.print(BoardTable(board))
    return [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_row_for_each_worker_with_its_cell_its_state_and_its_runs() -> None:
    board = Board()
    with board.group(["1", "2"], "race/storm"), board.group(["3"], "race/other"):
        board.record_event({"cell": "1", "at": "b", "state": BEGUN})
        board.record_event({"cell": "1", "at": "b", "state": "booting"})
        board.record_event({"cell": "3", "at": "a", "state": BEGUN})
        board.record_event({"cell": "4", "at": "c", "state": "of another user"})
        assert shown(board) == [
            ["worker", "runs", "now", "s"],
            ["a", "0", "race/other", "begun", "0"],
            ["b", "0", "race/storm", "booting", "0"],
        ]
        board.ended("b", 2)
        assert shown(board)[2] == ["b", "2", "waits"]
        assert board.begun("1") == board.begun("2") == ("b",)
    assert board.begun("1") == ()
    board.record_event({"cell": "1", "at": "b", "state": "late"})
    assert shown(board)[2] == ["b", "2", "waits"]


def test_the_table_is_on_a_terminal_until_there_is_a_result(tmp_path: Path) -> None:
    board = Board()
    board.ended("host-a", 7)
    app = App(Home(tmp_path, tmp_path), as_json=False)
    app.err = Console(file=io.StringIO(), force_terminal=True, width=80)
    app.end_live = keep_board(app.err, board)
    app.note("a line above")
    print_answer(app, Answer({}))
    text = app.err.file.getvalue()  # type: ignore[attr-defined]
    assert "host-a" in text
    assert "a line above" in text
    app.note("after")
    assert "host-a" not in app.err.file.getvalue()[len(text) :]  # type: ignore[attr-defined]


def test_a_log_gets_no_table() -> None:
    board = Board()
    board.ended("host-a", 7)
    console = Console(file=io.StringIO(), width=80)
    keep_board(console, board)()
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
