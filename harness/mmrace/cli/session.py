# SPDX-License-Identifier: GPL-2.0-only
"""A command's session, and the report that it leaves."""

import functools
import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mmrace.cli.app import App
from mmrace.cli.options import Place
from mmrace.cli.printing import BoardTable
from mmrace.errors import UserError
from mmrace.executors.executor import Executor
from mmrace.executors.local import LocalExecutor
from mmrace.experiments.session import Session
from mmrace.patching.intake import Intake
from mmrace.reports.publish import publish
from mmrace.reports.report import Section
from mmrace.runs.record import NotRun, RunDir


def load_cluster(module: str) -> Any:
    """Import a module of the executors that needs Dask; UserError where Dask is not installed."""
    try:
        return importlib.import_module(f"mmrace.executors.{module}")
    except ImportError as error:
        raise UserError(f"{error}; pip install 'mmrace[cluster]'") from error


def _executor(app: App, slots: int, place: Place) -> Executor:
    if local := re.fullmatch(r"local(?::([1-9]\d*))?", place.on):
        return LocalExecutor(app.home, app.step, int(local[1] or slots))
    if not re.match(r"(tcp|tls)://", place.on):
        raise UserError(f"not a place for cells: {place.on!r}; local, local:N, tcp:// or tls://")
    cluster = load_cluster("cluster")
    address = load_cluster("address").Address(place.on, place.tls_ca, place.tls_cert, place.tls_key)
    executor = cluster.ClusterExecutor(app.home, app.step, address, place.store, app.note)
    app.note(f"{executor.slots} guests at a time on {place.on}; dashboard {executor.dashboard}")
    made: Executor = executor
    return made


def open_session(app: App, slots: int = 1, place: Place | None = None) -> Session:
    """Return what experiments work with; ``slots`` guests at a time where the place has no say."""
    executor = _executor(app, slots, place or Place())
    app.plain = executor.slots > 1
    context = click.get_current_context()
    context.call_on_close(executor.close)
    if board := getattr(executor, "board", None):
        context.call_on_close(app.end_live)
        app.keep_live(BoardTable(board))
    return Session(
        app.home,
        app.step,
        app.note,
        intake=Intake(_standard_input),
        executor=executor,
        when_told=app.when_told,
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
