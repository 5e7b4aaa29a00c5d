# SPDX-License-Identifier: GPL-2.0-only
"""``hunt``, ``attack``, ``replay``, ``points``: schedules, and what they are made of."""

from pathlib import Path

import click

from mmrace.answers import experiments, races, search
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import (
    WITNESS_FILE,
    arms_options,
    kernel_option,
    out_option,
    race_option,
    series_option,
    subject_options,
    tree_option,
    workload_option,
)
from mmrace.cli.runoptions import UNSTEERED, build_options, place_options, run_options
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race, load_race
from mmrace.definitions.witness import Witness, save_witness, witness_place
from mmrace.errors import UserError
from mmrace.experiments.attack import attack_fix
from mmrace.experiments.hunt import hunt_race
from mmrace.experiments.replaying import follow_witness
from mmrace.experiments.verification import pick_race
from mmrace.runs.options import RunOptions
from mmrace.searching.files import DEFAULT
from mmrace.searching.listing import list_profile
from mmrace.symbols.nameable import nameable


@command("hunt")
@subject_options("Race whose failure is searched for.")
@tree_option()
@series_option
@workload_option
@click.option(
    "--files",
    multiple=True,
    metavar="PATTERN",
    help="Source files whose accesses are watched; !PATTERN leaves files out. "
    "[default: mm/ without allocators, and code that shares data with it]",
)
@out_option("RACE-WORKLOAD.witness.toml")
@click.option("--window", is_flag=True, help="Print the witness as windows for race.toml.")
@place_options
@run_options("10m", "Time of the search (wall time).", ("at_most", *UNSTEERED))
def hunt(
    app: App,
    race: Race | None,
    tree: str,
    series: tuple[str, ...],
    workload: str | None,
    files: tuple[str, ...],
    out: Path | None,
    window: bool,
    options: RunOptions,
) -> Answer:
    """Search for a schedule that shows a race, from its workload alone.

    Profiles which memory accesses of the kernel communicate and runs random schedules over them. A
    schedule that fails is reduced, proven from another boot, and written as a witness for `mmrace
    replay`.
    """
    if not race:
        raise UserError("hunt needs the failure that counts; name it with --race or --repro")
    chosen = race.hunted_workload(workload)
    place = witness_place(out, f"{race.name}-{chosen.name}")
    done = hunt_race(open_session(app), tree, series, race, chosen, options, files or DEFAULT)
    if done.finding:
        save_witness(place, done.finding.proven.witness)
    return search.hunt_result(done, place, windows=window)


@command("attack")
@subject_options(
    "Race that the fix is about. [default: the one whose functions --after changes most]"
)
@tree_option()
@arms_options
@click.option("--workload", help="Attack with this workload alone. [default: all of the race]")
@out_option("RACE-attack.witness.toml")
@place_options
@run_options("10m", "Time of the attack (wall time).", ("at_most", "accel", *UNSTEERED))
def attack(
    app: App,
    race: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    out: Path | None,
    options: RunOptions,
) -> Answer:
    """Search for a schedule under which the kernel with a fix still fails.

    Runs the race's workloads under its windows, and under random schedules over the accesses that
    communicate in either kernel and those in the functions that the series changes. The first
    failure ends the attack; a witness is written if one is found. Without a failure the answer is
    what was tried.
    """
    session = open_session(app)
    race = race or pick_race(session, tree, before, after, options)
    place = witness_place(out, f"{race.name}-attack")
    done = attack_fix(session, tree, before, after, race, options, workload)
    if done.finding:
        save_witness(place, done.finding.proven.witness)
    return search.attack_result(done, place)


@command("replay")
@click.argument("witness", type=WITNESS_FILE)
@kernel_option
@series_option
@click.option("--times", type=click.IntRange(1), default=10, help="Number of replays.")
@run_options("2s", "Time of a replay (wall time).", ("at_most", "machine", "seed", *UNSTEERED))
def replay(
    app: App, witness: Witness, tree: str, series: tuple[str, ...], times: int, options: RunOptions
) -> Answer:
    """Follow the schedule in WITNESS, each time from the same snapshot at the race's start."""
    return experiments.replays(
        follow_witness(open_session(app), witness, tree, series, times, options)
    )


@command("points")
@click.argument("function", required=False)
@tree_option()
@series_option
@build_options
@click.option("--profile", is_flag=True, help="Show the accesses that communicate under --race.")
@race_option("Race whose workload was profiled, by `mmrace hunt`.")
@workload_option
@click.option("--most", default=40, help="Number of pairs of accesses to show.")
def points(
    app: App,
    function: str | None,
    tree: str,
    series: tuple[str, ...],
    options: RunOptions,
    profile: bool,
    race_name: str | None,
    workload: str | None,
    most: int,
) -> Answer:
    """List what can be named inside FUNCTION: `before NAME in FUNCTION`, `after NAME in FUNCTION`.

    A name that occurs at several lines can also be given as NAME #1, NAME #2 in their order. Every
    function has `entry of FUNCTION` and `return of FUNCTION`.
    """
    if profile:
        if not race_name:
            raise UserError("--profile needs the workload that was profiled; name it with --race")
        race = load_race(race_name)
        built = open_session(app).build(tree, series, options, race)
        return races.pairs(built, *list_profile(app.home, built, race, workload, most))
    if not function:
        raise UserError("no function given; name one, or --profile with --race")
    built = open_session(app).build(tree, series, options)
    with app.step(f"points in {function}") as tell:
        tell("reading the kernel's debug information")
        return races.points(built, function, nameable(built.resolver(), function))
