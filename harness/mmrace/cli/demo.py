# SPDX-License-Identifier: GPL-2.0-only
"""``demo``: the races that ask for it, on Debian's 6.1, before and after the fixes."""

import time

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.duration import DURATION
from mmrace.cli.records import write_report
from mmrace.cli.running import Done, run_race
from mmrace.definitions.race import load_race, race_names
from mmrace.outcome import Outcome
from mmrace.runs import campaign
from mmrace.runs.campaign import Choice, Workbench
from mmrace.runs.record import RunDir

TREE = "debian:6.1"
BEFORE = ("vulnerable",)
AFTER = ("vulnerable", "fixes")
BESIDE = 15.0  # seconds for a race's further workloads; the first is the most sensitive


@click.command("demo")
@click.option("--for", "seconds", type=DURATION, default="60s", show_default=True)
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@json_option
@click.pass_obj
def demo(app: App, seconds: float, ltp: str | None) -> int:
    """Races on Debian's Linux 6.1: the bugs put back, then fixed again."""
    started = time.monotonic()
    bench = Workbench(app.home, app.step)
    done = Done()
    for series in (BEFORE, AFTER):
        built = campaign.build(app.home, TREE, series, (), app.step)
        for race in filter(lambda race: race.demo, map(load_race, race_names())):
            for number, workload in enumerate(race.default_workloads()):
                limit = seconds if number == 0 else min(seconds, BESIDE)
                choice = Choice(seconds=limit, ltp=ltp)
                done += run_race(bench, built, race, [workload], choice)
    page, _ = write_report(app, done.runs, "mmrace demo", done.not_run)
    done.show(app)
    surprises = [run for run in done.runs if not expected(run)]
    app.note(f"\n{len(done.runs)} runs in {time.monotonic() - started:.0f} s")
    for run in surprises:
        app.note(f"not expected: {run.id}: {run.judgement().outcome}")
    app.note(f"report: {page}")
    app.note(f"next:   mmrace run --race exec-stack-migration --tree {TREE} --series vulnerable")
    return 3 if surprises else 0


def expected(run: RunDir) -> bool:
    """Whether a run ended as its series makes expected.

    Before the fixes: the race's own failure; a workload that says it is rare may hold as well.
    After them: PASS, which implies that it was exercised.
    """
    spec, judged = run.spec(), run.judgement()
    if spec.series == AFTER:
        return judged.outcome is Outcome.PASS
    if judged.outcome.failed:
        return judged.signature_matched
    return spec.workload.rare and judged.outcome in (Outcome.PASS, Outcome.NOT_EXERCISED)


COMMANDS = (demo,)
