# SPDX-License-Identifier: GPL-2.0-only
"""What an unattended job found, cell by cell."""

from collections.abc import Sequence
from pathlib import Path

from mmrace.answers.answer import Answer, Table
from mmrace.ci.checks import Result, worst_exit_code
from mmrace.ci.unattended import Done


def job(done: Done, folder: Path, annotations: Sequence[str]) -> Answer:
    """Return what became of each cell, where the time went, and lines for a CI service.

    ``folder`` has the job's files.
    """
    outside = done.seconds - done.guests
    document = {
        "key": done.key,
        "seconds_total": round(done.seconds, 1),
        "seconds_guests": round(done.guests, 1),
        "seconds_outside": round(outside, 1),
        "report": str(folder),
        "cells": [_cell(one) for one in done.results],
    }
    rows = [
        (one.cell.name, one.word, one.reason, str(len(one.runs)), f"{one.seconds:.0f} s")
        for one in done.results
    ]
    notes = (
        f"{done.seconds:.0f} s: {done.guests:.0f} s in guests, {outside:.0f} s outside them",
        f"report: {folder / 'report.html'}, junit.xml and summary.md beside it",
    )
    table = Table(("cell", "result", "why", "runs", "guests"), rows)
    code = worst_exit_code(done.results)
    return Answer(document, (table,), code, notes, plain=tuple(annotations), watched=True)


def _cell(one: Result) -> dict[str, object]:
    cell = one.cell
    return {
        "name": cell.name,
        "race": cell.race.name,
        "workload": (cell.workload or cell.race.default_workloads()[0]).name,
        "paths": dict(one.paths),
        "tree": cell.tree,
        "before": None if cell.before is None else list(cell.before),
        "series": list(cell.series),
        "result": one.word,
        "reason": one.reason,
        "exit_code": one.exit_code,
        "seconds": round(one.seconds, 1),
        "runs": [run.as_json() for run in one.runs],
        "attack": one.attack,
    }
