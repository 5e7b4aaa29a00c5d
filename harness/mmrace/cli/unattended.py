# SPDX-License-Identifier: GPL-2.0-only
"""``ci``: a matrix of checks, unattended."""

import os
from pathlib import Path

import click

from mmrace.answers.answer import Answer
from mmrace.answers.job import job
from mmrace.ci import cireport
from mmrace.ci.unattended import job_key, run_job
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import DURATION, FILE
from mmrace.cli.runoptions import place_options
from mmrace.cli.session import open_session
from mmrace.reports import traced
from mmrace.reports.publish import new_folder


@command("ci")
@click.option(
    "--config",
    "path",
    type=FILE,
    default="mmrace-ci.toml",
    help="Job file: checks and a budget of time; see docs/howto/ci.md.",
)
@click.option("--budget", type=DURATION, help="Wall time for the job. [default: the job file's]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where report.html, junit.xml and summary.md go. [default: in the home]",
)
@click.option("--github/--no-github", default=None, help="Print annotations for a GitHub workflow.")
@click.option("--keys", is_flag=True, help="Only print the key for the CI service's cache.")
@place_options
def ci(
    app: App, path: Path, budget: float | None, out: Path | None, github: bool | None, keys: bool
) -> Answer:
    """Decide all cells of a job within its budget of time; exit with the worst cell's code.

    Kernels are reused where nothing changed. The cell that needs the least time for a decision runs
    first.
    """
    if keys:
        key = job_key(path)
        return Answer({"key": key}, (f"key={key}",))
    done = run_job(open_session(app), path, budget)
    folder, decoded = out or new_folder(app.home), traced.traces(app.home, done.runs)
    cireport.write(folder, done, decoded)
    github = os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github
    lines = cireport.annotations(done.results, decoded) if github else ()
    return job(done, folder, lines)
