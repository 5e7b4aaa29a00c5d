# SPDX-License-Identifier: GPL-2.0-only
"""A command's session, and the report that it leaves."""

import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mmrace.cli.app import App
from mmrace.cli.options import PLACE
from mmrace.executors.place import Place, builder_of, open_executor
from mmrace.experiments.session import Session
from mmrace.patching.intake import Intake
from mmrace.reports.publish import publish
from mmrace.reports.report import Section
from mmrace.runs.record import NotRun, RunDir
from mmrace.terminal.board import keep_board


def open_session(app: App, slots: int = 1) -> Session:
    """Return what experiments work with; ``slots`` guests at a time where the place has no say."""
    context = click.get_current_context()
    place = context.meta.get(PLACE, Place())
    executor = open_executor(app.home, app.step, place, slots, app.note)
    app.plain = executor.slots > 1
    context.call_on_close(executor.close)
    if board := getattr(executor, "board", None):
        app.plain, app.end_live = True, keep_board(app.err, board)
        context.call_on_close(app.end_live)
    return Session(
        app.home,
        app.step,
        app.note,
        intake=Intake(_standard_input),
        executor=executor,
        builder=builder_of(executor, place),
        after_answer=app.after_answer,
    )


def report(
    app: App,
    runs: Sequence[RunDir],
    title: str,
    not_run: Sequence[NotRun] = (),
    sections: Sequence[Section] = (),
) -> Path | None:
    """Write the report of some runs, and say where it is; None without runs."""
    if not runs:
        return None
    made = publish(app.home, runs, title, not_run, sections)
    app.note(f"report: {made.html}")
    return made.html


@functools.cache
def _standard_input() -> bytes:
    """All of it; a command may resolve its series more than once."""
    return b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
