# SPDX-License-Identifier: GPL-2.0-only
"""What experiments found beside a verdict: a matrix, costs, replays."""

import statistics

from mmrace.answers.answer import Answer, Block, Page, Table, fields
from mmrace.experiments.cost import Costs
from mmrace.experiments.matrix import Matrix
from mmrace.experiments.replaying import Replayed
from mmrace.reports.report import Section
from mmrace.verdicts.cost import Difference, Figure
from mmrace.verdicts.grid import html, rows


def matrix(done: Matrix, slots: int) -> Answer:
    """Return the table of all races in all columns; ``slots`` guests ran at a time."""
    document = {"jobs": slots, "cells": [cell.as_json() for cell in done.cells]}
    lines = [
        (name, *(f"{cell.word}\n{cell.detail}".strip() for cell in row))
        for name, row in rows(done.races, done.columns, done.cells)
    ]
    head = ("race", *(column.title for column in done.columns))
    runs = [run for cell in done.cells for run in cell.runs]
    section = Section("Matrix", html(done.races, done.columns, done.cells))
    page = Page("mmrace matrix", runs, (), [section])
    return Answer(document, (Table(head, lines),), done.exit_code, page=page, watched=True)


def costs(done: Costs) -> Answer:
    """Return what operations cost on both kernels."""
    lines = [
        (item.operation, _figure(item.before), _figure(item.after), _added(item))
        for item in done.differences
    ]
    text: list[Block] = [
        Table(("operation", "before", "after", "added"), lines),
        "guest instructions: median (quartiles) of the number of operations",
    ]
    for run in done.runs:
        judged = run.judgement()
        text.append(f"{judged.outcome} {run.id} {judged.title}".rstrip())
    return Answer(done.document(), text, done.exit_code, watched=True)


def _figure(figure: Figure | None) -> str:
    if not figure:
        return "not measured"
    lines = [
        f"{figure.median:,.0f} ({figure.low:,.0f} .. {figure.high:,.0f}) of {figure.repeats}",
        *(f"{name} {count:,}" for name, count in figure.counters.items()),
    ]
    return "\n".join(lines)


def _added(item: Difference) -> str:
    if item.added is None or item.share is None:
        return ""
    return f"{item.added:+,.0f} ({item.share:+.2%}){'' if item.clear else ', within the spread'}"


def replays(found: Replayed) -> Answer:
    """Return how often a witness showed its race."""
    done = found.replays
    table = fields(
        (
            ("failed with the race's signature", f"{done.failed} of {len(done.done)}"),
            ("of these right after the whole schedule", done.shown),
            ("reached the first sync point", done.reached),
            ("carried out the whole schedule", done.complete),
            ("infeasible", done.infeasible),
            ("failed otherwise", " ".join([str(len(done.foreign)), *sorted(set(done.foreign))])),
            (
                "seconds each, median and longest",
                f"{statistics.median(done.seconds):.2f}, {max(done.seconds):.2f}",
            ),
        )
    )
    reasons = {item.why for one in done.done if not one.complete for item in one.attempts}
    return Answer(found.document(), (table, *sorted(reasons - {""})), found.exit_code, watched=True)
