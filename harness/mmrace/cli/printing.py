# SPDX-License-Identifier: GPL-2.0-only
"""Tables as the terminal shows them."""

import time
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from mmrace.executors.board import Board
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import RunDir

_STYLE = {
    Outcome.CRASH: "bold red",
    Outcome.FAIL: "bold red",
    Outcome.HANG: "bold red",
    Outcome.PASS: "green",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table; cells are text, never markup."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


class BoardTable:
    """Workers of a cluster and what each of them does, as of the moment in which it is drawn."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich__(self) -> Table:
        now = time.monotonic()
        return table(
            ("worker", "runs", "now", "", "s"),
            (
                (
                    one.worker,
                    str(one.ended),
                    one.title or "waits",
                    one.state,
                    f"{now - one.since:.0f}" if one.title else "",
                )
                for one in self._board.rows()
            ),
        )


def outcome_text(judged: Judgement) -> Text:
    """An outcome; a failure that is not the race's own says so."""
    word = str(judged.outcome)
    if judged.outcome in (Outcome.CRASH, Outcome.FAIL) and not judged.signature_matched:
        word += " (foreign)"
    return Text(word, style=_STYLE.get(judged.outcome, "yellow"))


def exercised_text(judged: Judgement) -> str:
    """Counters that prove the exercise; of a run that was not exercised also the min counts."""
    low = judged.outcome is Outcome.NOT_EXERCISED
    parts = (
        f"{name} {count}" + (f" (below {least})" if low and count < least else "")
        for name, (count, least) in judged.exercised.items()
    )
    return ", ".join(parts)


def runs_table(runs: Iterable[RunDir]) -> Table:
    """The table of ``run`` and ``demo``: one row a run, its long texts below one another."""
    rows = []
    for run in runs:
        spec, judged, vm = run.spec(), run.judgement(), run.vm()
        seconds = judged.seconds_to_failure
        texts = (judged.title, exercised_text(judged), run.id)
        rows.append(
            (
                f"{spec.race.name}\n{spec.workload.name}{' (steered)' if spec.steered else ''}",
                f"{spec.release}\n{' + '.join(spec.series) or 'as it is'}",
                vm.accel,
                outcome_text(judged),
                "" if seconds is None else f"{seconds:.1f}",
                "\n".join(text for text in texts if text),
            )
        )
    columns = ("race, workload", "kernel", "accel", "outcome", "s to fail", "title, exercised, run")
    return table(columns, rows)
