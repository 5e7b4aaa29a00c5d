# SPDX-License-Identifier: GPL-2.0-only
"""A cluster's workers as a terminal shows them while a command runs."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable

from mmrace.answers.answer import Table
from mmrace.executors.board import Board
from mmrace.terminal.tables import rich_table


def keep_board(console: Console, board: Board) -> Callable[[], None]:
    """Keep the workers below all lines of a terminal; returns what takes them away."""
    if not console.is_terminal:
        return lambda: None
    live = Live(BoardTable(board), console=console, refresh_per_second=2, transient=True)
    live.start()
    return live.stop


class BoardTable:
    """Workers of a cluster and what each of them does, as of the moment in which it is drawn."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich__(self) -> RichTable:
        now = time.monotonic()
        rows = [
            (
                one.worker,
                str(one.ended),
                one.title or "waits",
                one.state,
                f"{now - one.since:.0f}" if one.title else "",
            )
            for one in self._board.rows()
        ]
        return rich_table(Table(("worker", "runs", "now", "", "s"), rows))
