# SPDX-License-Identifier: GPL-2.0-only
"""``check-series``: mmrace as one of b4's external checks of a series."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import click

from mmrace.cli.app import App, sandbox_option
from mmrace.cli.duration import DURATION
from mmrace.cli.records import write_report
from mmrace.cli.running import exit_code, pick_races, run_race, suited
from mmrace.definitions.race import Race, load_race
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.outcome import Outcome
from mmrace.patching.intake import Intake
from mmrace.patching.thread import read_mail
from mmrace.patching.tracked import tracked_thread
from mmrace.reports.report import NotRun
from mmrace.runs import campaign
from mmrace.runs.campaign import Choice, Workbench
from mmrace.runs.record import RunDir

STATUS = {
    Outcome.PASS: "pass",
    Outcome.CRASH: "fail",
    Outcome.FAIL: "fail",
    Outcome.HANG: "fail",
}  # what shows nothing is a warning


@dataclass(frozen=True)
class Check:
    """One result, in b4's words; ``status`` is pass, warn or fail."""

    tool: str
    status: str
    summary: str
    url: str = ""
    details: str = ""


@click.command("check-series")
@click.argument("series", nargs=-1)
@click.option("--tree", "tree_name", required=True, help="The tree to apply to.")
@click.option("--race", "race_name", help="See `mmrace races`; default: what the series is about.")
@click.option("--for", "seconds", type=DURATION, default="30s", show_default=True)
@click.option("--runs", "count", type=click.IntRange(1), default=1, show_default=True)
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@sandbox_option
@click.pass_obj
def check_series(
    app: App,
    series: tuple[str, ...],
    tree_name: str,
    race_name: str | None,
    seconds: float,
    count: int,
    accel: str,
    ltp: str | None,
) -> int:
    """Check a series as b4 asks for it, and print b4's JSON list.

    \b
    git config b4.review-series-check-cmd 'mmrace check-series --tree debian:6.1'

    b4 gives the cover letter on standard input: the thread is the one that b4 tracks, or that of
    its Message-ID on the server. SERIES, when given, is taken instead.
    """
    choice = Choice(accel=accel, seconds=seconds, ltp=ltp)
    try:
        checks, code = _run(app, series, tree_name, race_name, choice, count)
    except UserError as error:
        checks, code = [_said("fail", error.message, error.detail)], error.exit_code
    except BuildError as error:
        checks, code = [_said("fail", error.message, error.detail)], error.exit_code
    except InfraError as error:
        checks, code = [_said("warn", f"cannot tell: {error.message}", error.detail)], 0
    click.echo(json.dumps([vars(check) for check in checks], indent=1))
    return code


def _run(
    app: App,
    series: tuple[str, ...],
    tree: str,
    race_name: str | None,
    choice: Choice,
    count: int,
) -> tuple[list[Check], int]:
    races = [load_race(race_name)] if race_name else []
    intake = app.intake
    if not series:
        series, intake = _asked(app.intake)
    built = campaign.build(app.home, tree, series, (), app.step, intake)
    try:
        races = races or pick_races(app, built.tree.commit, built.applied.commit)
    except UserError as error:
        notes = "\n".join(built.applied.notes)
        return [_said("warn", f"builds; {error.message}", notes)], 0
    bench = Workbench(app.home, app.step)
    checks: list[Check] = []
    runs: list[RunDir] = []
    for race in races:
        own = suited(app, built, race, intake=intake)
        done = run_race(bench, own, race, race.default_workloads(), choice, count)
        page = str(write_report(app, done.runs, race.title)[0]) if done.runs else ""
        checks += [_of_run(race, run, page) for run in done.runs]
        checks += [_not_run(item) for item in done.not_run]
        runs += done.runs
    return checks, exit_code(runs)


def _asked(intake: Intake) -> tuple[tuple[str, ...], Intake]:
    """What b4 asks about: a tracked thread, a patch on its own, or a message-id."""
    raw = intake.stdin()
    if not raw.strip():
        raise UserError("b4 gives a mail on standard input; there is none: name a SERIES")
    tracking = os.environ.get("B4_TRACKING_FILE", "")
    if tracking and (thread := tracked_thread(Path.cwd(), Path(tracking))):
        return ("-",), Intake(lambda: thread, intake.sandboxed)
    mail = read_mail("the mail on standard input", raw)
    if mail.diff and mail.place.total <= 1:
        return ("-",), Intake(lambda: raw, intake.sandboxed)
    if not mail.id:
        raise UserError(f"{mail.name} has neither a patch nor a Message-ID; name a SERIES")
    return (mail.id,), intake


def _of_run(race: Race, run: RunDir, page: str) -> Check:
    judged = run.judgement()
    shown = f"{run.spec().workload.name}: {judged.outcome} {judged.title}".rstrip()
    counts = [f"{name} {count} of {least}" for name, (count, least) in judged.exercised.items()]
    details = "\n".join([*counts, *judged.notes, f"run {run.id}"])
    status = STATUS.get(judged.outcome, "warn")
    url = Path(page).as_uri() if page else ""
    return Check(f"mmrace/{race.name}", status, shown, url, details)


def _not_run(item: NotRun) -> Check:
    return Check(f"mmrace/{item.race}", "warn", f"{item.workload}: not run: {item.why}")


def _said(status: str, summary: str, details: str) -> Check:
    return Check("mmrace", status, summary, details=details)


COMMANDS = (check_series,)
