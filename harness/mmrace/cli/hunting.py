# SPDX-License-Identifier: GPL-2.0-only
"""``hunt``: search schedules for a witness."""

from pathlib import Path

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    UNSTEERED,
    race_option,
    refuse,
    run_options,
    series_option,
    tree_option,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.race import load_race
from mmrace.definitions.witness import save_witness
from mmrace.errors import UserError
from mmrace.experiments.hunt import Hunted, hunt_race
from mmrace.hunting.hunt import CONTROLS
from mmrace.runs.options import RunOptions


@click.command("hunt")
@race_option("Race whose failure is searched for.")
@tree_option()
@series_option
@click.option("--workload", help="Workload. [default: the race's for hunts, or its first]")
@click.option("--function", "functions", multiple=True, help="[default: all that the race names]")
@click.option("--depth", type=click.IntRange(1, 8), default=3, show_default=True)
@click.option(
    "--hits",
    type=click.IntRange(2, 10_000),
    default=30,
    show_default=True,
    help="Sync-point hits ordered by one schedule.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File for the witness. [RACE-WORKLOAD.witness.toml]",
)
@run_options("10m", "search (wall time)")
@json_option
@click.pass_obj
def hunting(
    app: App,
    race_name: str | None,
    tree: str,
    series: tuple[str, ...],
    workload: str | None,
    functions: tuple[str, ...],
    depth: int,
    hits: int,
    out: Path | None,
    options: RunOptions,
) -> int:
    """Search for a schedule that shows a race, given only names of functions.

    Random schedules with a bound (probabilistic concurrency testing); one that fails is made
    small and saved as a witness for `mmrace replay`.
    """
    refuse("hunt", UNSTEERED)
    if not race_name:
        raise UserError("hunt needs the failure that counts; name it with --race")
    race = load_race(race_name)
    chosen = race.find_workload(workload) if workload else race.hunted_workload()
    place = _place(out or Path(f"{race.name}-{chosen.name}.witness.toml"))
    done = hunt_race(
        open_session(app),
        tree,
        series,
        race,
        chosen,
        functions or race.functions,
        depth,
        hits,
        options,
    )
    if done.found.witness:
        save_witness(place, done.found.witness)
    app.document(done.document(place))
    if not app.as_json:
        _show(app, done, place)
    return 0 if done.found.proof.holds else 3


def _place(out: Path) -> Path:
    """Where the witness goes, known to be possible before the search; a device is no such place."""
    if out.exists() and not out.is_file():
        raise UserError(f"not a file: {out}; --out names the witness to be written")
    if not out.absolute().parent.is_dir():
        raise UserError(f"not a directory: {out.parent}; --out names the witness to be written")
    return out


def _show(app: App, done: Hunted, out: Path) -> None:
    found = done.found
    tried, search, proof = found.tried, found.search, found.proof
    rows = [
        ("schedules", f"{tried.schedules}, {tried.hits} hits of {tried.points} sync points"),
        ("failed before the schedule began", str(tried.early)),
        ("released early: waiting for a held vCPU", str(tried.blocked)),
        ("failed with the race's signature", f"{tried.failures}, of these not again {tried.lost}"),
        (
            f"failed without a schedule within {tried.pace:g} s, a replay's time",
            f"{tried.control} of {CONTROLS}",
        ),
        ("failed otherwise", ", ".join(f"{n} x {t}" for t, n in tried.foreign.items()) or "0"),
        ("reports of watchdogs, which holds can wake", str(tried.stalls)),
        (
            f"a bug of depth {search.depth} within {search.hits} hits",
            f"p >= {found.bound:.2g} to be found by one schedule,"
            f" <= {found.missed:.3g} to be missed",
        ),
        ("seconds", f"{tried.seconds:.0f}"),
    ]
    if found.witness:
        again = sum(item.failed for item in proof.replays)
        name = f"witness {out}" if proof.holds else f"{out}, not proven"
        rows.append((name, f"{again} of {len(proof.replays)} replays failed"))
        if proof.unheld is not None:
            rows.append(("as many guests without the schedule", f"{proof.unheld} failed"))
    app.out.print(table(("", ""), rows))


COMMANDS = (hunting,)
