# SPDX-License-Identifier: GPL-2.0-only
"""``check-series``: mmrace as one of b4's external checks of a series."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mmrace.cli.app import App
from mmrace.cli.options import race_option, run_options, tree_option
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import Race, load_race
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.experiments.running import Runs, run_workloads
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.patching.thread import read_mail
from mmrace.patching.tracked import tracked_thread
from mmrace.runs.options import RunOptions
from mmrace.runs.record import NotRun, RunDir

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
@tree_option()
@race_option()
@click.option("--runs", "count", type=click.IntRange(1), default=1, show_default=True)
@run_options("30s")
@click.pass_obj
def check_series(
    app: App,
    series: tuple[str, ...],
    tree: str,
    race_name: str | None,
    count: int,
    options: RunOptions,
) -> int:
    """Check a series as b4 asks for it, and print b4's JSON list.

    \b
    git config b4.review-series-check-cmd 'mmrace check-series --tree debian:6.1'

    b4 gives the cover letter on standard input: the thread is the one that b4 tracks, or that of
    its Message-ID on the server. SERIES, when given, is taken instead.
    """
    try:
        checks, code = _run(app, series, tree, race_name, options, count)
    except (UserError, BuildError) as error:
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
    options: RunOptions,
    count: int,
) -> tuple[list[Check], int]:
    session = open_session(app)
    races = [load_race(race_name)] if race_name else []
    if not series:
        series, session = _asked(session)
    built = session.build(tree, series, options)
    try:
        races = races or session.races_about(built.tree.commit, built.applied.commit)
    except UserError as error:
        notes = "\n".join(built.applied.notes)
        return [_said("warn", f"builds; {error.message}", notes)], 0
    checks: list[Check] = []
    done = Runs()
    for race in races:
        own = session.suited(built, race, options)
        made = run_workloads(
            session, own, race, race.default_workloads(own.kernel.release), options, count
        )
        page = report(app, made.made, race.title)
        checks += [_of_run(race, run, page) for run in made.made]
        checks += [_not_run(item) for item in made.not_run]
        done += made
    if done.error:
        raise done.error
    return checks, done.exit_code


def _asked(session: Session) -> tuple[tuple[str, ...], Session]:
    """What b4 asks about: a tracked thread, a patch on its own, or a message-id."""

    def given(mails: bytes) -> tuple[tuple[str, ...], Session]:
        return ("-",), session.taking(replace(session.intake, stdin=lambda: mails))

    raw = session.intake.stdin()
    if not raw.strip():
        raise UserError("b4 gives a mail on standard input; there is none: name a SERIES")
    tracking = os.environ.get("B4_TRACKING_FILE", "")
    if tracking and (thread := tracked_thread(Path.cwd(), Path(tracking))):
        return given(thread)
    mail = read_mail("the mail on standard input", raw)
    if mail.diff and mail.place.total <= 1:
        return given(raw)
    if not mail.id:
        raise UserError(f"{mail.name} has neither a patch nor a Message-ID; name a SERIES")
    return (mail.id,), session


def _of_run(race: Race, run: RunDir, page: Path | None) -> Check:
    judged = run.judgement()
    shown = f"{run.spec().workload.name}: {judged.outcome} {judged.title}".rstrip()
    counts = [f"{name} {count} of {least}" for name, (count, least) in judged.exercised.items()]
    details = "\n".join([*counts, *judged.notes, f"run {run.id}"])
    status = STATUS.get(judged.outcome, "warn")
    url = page.as_uri() if page else ""
    return Check(f"mmrace/{race.name}", status, shown, url, details)


def _not_run(item: NotRun) -> Check:
    return Check(f"mmrace/{item.race}", "warn", f"{item.workload}: not run: {item.why}")


def _said(status: str, summary: str, details: str) -> Check:
    return Check("mmrace", status, summary, details=details)


COMMANDS = (check_series,)
