# SPDX-License-Identifier: GPL-2.0-only
"""``runs``, ``judge``, ``report``, ``clean``: what is on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mmrace import storage
from mmrace.answers import host
from mmrace.answers import runs as answers
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import FILE, gathered
from mmrace.lazy import Lazy
from mmrace.runs.record import find_run, find_runs, last_runs

files, evidence = Lazy("mmrace.reports.files"), Lazy("mmrace.runs.evidence")


@command("runs")
@click.option("--race", help="Only runs of this race.")
@click.option("--outcome", help="Only runs with this outcome.")
@click.option("--last", type=click.IntRange(1), default=20, help="Number of runs to list.")
def runs_command(app: App, race: str | None, outcome: str | None, last: int) -> Answer:
    """List the runs on disk, newest last."""
    return answers.run_list(*last_runs(app.home, last, race, outcome))


@command("judge")
@click.argument("run")
def judge_command(app: App, run: str) -> Answer:
    """Judge a run again, from its directory."""
    found = find_run(app.home, run)
    return answers.new_judgement(found, found.judgement(), evidence.judge_run(found))


def _file(kind: str, what: str) -> Callable[[Any], Any]:
    return click.option(f"--{kind}", type=FILE, metavar="FILE", help=what)


@command("report")
@click.argument("runs", nargs=-1, required=True)
@click.option("--title", default="mmrace", help="Title of the page.")
@gathered(
    "paths",
    dict,
    _file("html", "One self-contained page."),
    _file("junit", "JUnit XML, for GitHub, GitLab and Jenkins."),
    _file("ktap", "KTAP."),
    _file("kcidb", "A KCIDB submission (JSON), checked; needs mmrace[kcidb]."),
    _file("markdown", "A summary for a merge request or a reply to a patch; - for stdout."),
)
@click.option("--github", is_flag=True, help="Print annotations for a GitHub workflow.")
@click.option("--origin", default="mmrace", help="Your name in KCIDB.")
def report_command(
    app: App,
    runs: tuple[str, ...],
    title: str,
    paths: dict[str, Path | None],
    github: bool,
    origin: str,
) -> Answer:
    """Write reports of RUNS for people and for CI. Default: HTML and JUnit, in mmrace's home."""
    found = find_runs(app.home, runs)
    return answers.reports(
        files.write_reports(app.home, found, title, paths, origin, github=github)
    )


@command("clean")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(sorted(storage.KINDS)),
    multiple=True,
    metavar="KIND",
    help=f"{', '.join(sorted(storage.KINDS)).capitalize()}; repeatable. [default: all but runs]",
)
@click.option(
    "--older",
    "days",
    type=click.IntRange(0),
    help="Days unused. [default: 30; 0 for what can be built again on a full disk]",
)
@click.option("--yes", is_flag=True, help="Free the space. [default: only show it]")
def clean(app: App, kinds: tuple[str, ...], days: int | None, yes: bool) -> Answer:
    """Show what the home holds, by kind; with --yes free what was not used for a while.

    Files that a running mmrace uses are kept. Builds keep the home below MMRACE_HOME_LIMIT (20G).
    """
    return host.home_contents(app.home, storage.clean(app.home, kinds, days, really=yes))
