# SPDX-License-Identifier: GPL-2.0-only
"""``attack``: look for a schedule under which a fix fails."""

from pathlib import Path

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    UNSTEERED,
    arms_options,
    chosen_race,
    out_option,
    race_option,
    refuse,
    reproducer_options,
    run_options,
    tree_option,
    witness_place,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import Race
from mmrace.definitions.witness import save_witness
from mmrace.experiments.attack import attack_fix
from mmrace.experiments.verification import pick_race
from mmrace.reports.attack import details, rows, sections
from mmrace.runs.options import RunOptions


@click.command("attack")
@race_option("Race that the fix is about. [default: the one that --after changes most]")
@reproducer_options
@tree_option()
@arms_options
@click.option("--workload", help="Attack with this workload alone. [default: all that decide]")
@out_option("RACE-attack.witness.toml")
@run_options("10m", "attack (wall time)")
@json_option
@click.pass_obj
def attack(
    app: App,
    race_name: str | None,
    repro: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    out: Path | None,
    options: RunOptions,
) -> int:
    """Search for a schedule under which the kernel with a fix still fails.

    All workloads of the race, its windows, and random schedules over the accesses that communicate
    in either kernel and over the functions that the series changes. Ends with a failure, proven by
    a witness where one is found, or with what was tried.
    """
    refuse("attack", UNSTEERED)
    session = open_session(app)
    race = chosen_race(race_name, repro) or pick_race(session, tree, before, after, options)
    place = witness_place(out, f"{race.name}-attack")
    done = attack_fix(session, tree, before, after, race, options, workload)
    if done.finding:
        save_witness(place, done.finding.proven.witness)
    app.document(done.document(str(place)))
    if not app.as_json:
        app.out.print(table(("", ""), rows(done, str(place))))
        for line in details(done):
            app.out.print(line, markup=False)
    report(app, [one.run for one in done.attempts], done.line, done.not_run, sections(done))
    return done.exit_code


COMMANDS = (attack,)
