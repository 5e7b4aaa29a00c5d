# SPDX-License-Identifier: GPL-2.0-only
"""``ci``: a matrix of checks, unattended."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mmrace.building import bench
from mmrace.ci import ciplan, cireport
from mmrace.ci.checks import Result, worst_exit_code
from mmrace.ci.unattended import Unattended, guest_seconds
from mmrace.cli.app import App, json_option
from mmrace.cli.options import DURATION, Place, place_options
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.home import write_file
from mmrace.reports import traced
from mmrace.reports.publish import new_folder, page
from mmrace.reports.report import Section


@click.command("ci")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default="mmrace-ci.toml",
    show_default=True,
    help="The job: checks and a budget of time; docs/howto/ci.md describes it.",
)
@click.option("--budget", type=DURATION, help="Wall time, in place of the job's own.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where report.html, junit.xml and summary.md go. [default: in the home]",
)
@click.option("--github/--no-github", default=None, help="Annotations. [default: in its workflows]")
@click.option("--keys", is_flag=True, help="Only print the key for the CI service's cache.")
@place_options
@json_option
@click.pass_obj
def ci(
    app: App,
    path: Path,
    budget: float | None,
    out: Path | None,
    github: bool | None,
    keys: bool,
    place: Place,
) -> int:
    """Decide all cells of a job within its budget of time; exit as the worst of them.

    Kernels are reused where nothing changed. Time goes first to whom needs least to be decided.
    """
    job = ciplan.read_job(path)
    key = ciplan.cache_key(path, bench.toolchain({}))
    if keys:
        app.document({"key": key})
        if not app.as_json:
            click.echo(f"key={key}")
        return 0
    if budget:
        job = job.model_copy(update={"budget": budget})
    app.note(f"cache key {key}; home {app.home.cache} and {app.home.data}")
    started = time.monotonic()
    results = Unattended(open_session(app, place=place)).run(job)
    spent = Spent(time.monotonic() - started, guest_seconds(results))
    folder = out or new_folder(app.home)
    if github is None:
        github = os.environ.get("GITHUB_ACTIONS") == "true"
    _report(app, job.title, results, folder, github)
    app.document(_document(key, results, spent, folder))
    _show(app, results, spent, folder)
    return worst_exit_code(results)


@dataclass(frozen=True)
class Spent:
    """Seconds of a job: all of it, and those in guests."""

    total: float
    guests: float

    @property
    def outside(self) -> float:
        """Seconds outside the guests."""
        return self.total - self.guests


def _report(app: App, title: str, results: Sequence[Result], folder: Path, github: bool) -> None:
    runs = [run for result in results for run in result.runs]
    decoded = traced.traces(app.home, runs)
    sections = (Section("Cells", cireport.table(results)),)
    write_file(folder / "report.html", page(runs, title, sections=sections, decoded=decoded))
    write_file(folder / "junit.xml", cireport.junit(results, decoded))
    write_file(folder / "summary.md", cireport.markdown(results, title, decoded))
    if github:
        for line in cireport.annotations(results, decoded):
            click.echo(line, err=app.as_json)


def _document(key: str, results: Sequence[Result], spent: Spent, folder: Path) -> dict[str, object]:
    return {
        "key": key,
        "seconds_total": round(spent.total, 1),
        "seconds_guests": round(spent.guests, 1),
        "seconds_outside": round(spent.outside, 1),
        "report": str(folder),
        "cells": [
            {
                "name": one.cell.name,
                "race": one.cell.race.name,
                "workload": (one.cell.workload or one.cell.race.default_workloads()[0]).name,
                "paths": dict(one.paths),
                "tree": one.cell.tree,
                "before": None if one.cell.before is None else list(one.cell.before),
                "series": list(one.cell.series),
                "result": one.word,
                "reason": one.reason,
                "exit_code": one.exit_code,
                "seconds": round(one.seconds, 1),
                "runs": [run.as_json() for run in one.runs],
            }
            for one in results
        ],
    }


def _show(app: App, results: Sequence[Result], spent: Spent, folder: Path) -> None:
    rows = [
        (one.cell.name, one.word, one.reason, str(len(one.runs)), f"{one.seconds:.0f} s")
        for one in results
    ]
    app.out.print(table(("cell", "result", "why", "runs", "guests"), rows))
    app.note(
        f"{spent.total:.0f} s: {spent.guests:.0f} s in guests, {spent.outside:.0f} s outside them"
    )
    app.note(f"report: {folder / 'report.html'}, junit.xml and summary.md beside it")


COMMANDS = (ci,)
