# SPDX-License-Identifier: GPL-2.0-only
"""``hunt``: search schedules for a witness."""

from pathlib import Path

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    UNSTEERED,
    chosen_race,
    out_option,
    race_option,
    refuse,
    reproducer_options,
    run_options,
    series_option,
    tree_option,
    witness_place,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race
from mmrace.definitions.witness import save_witness
from mmrace.errors import UserError
from mmrace.experiments.hunt import Hunted, hunt_race
from mmrace.hunting.proof import CONTROLS
from mmrace.runs.options import RunOptions
from mmrace.searching.explanation import columns
from mmrace.searching.files import DEFAULT
from mmrace.searching.windowing import render_windows


@click.command("hunt")
@race_option("Race whose failure is searched for.")
@reproducer_options
@tree_option()
@series_option
@click.option("--workload", help="Workload. [default: the race's for hunts, or its first]")
@click.option(
    "--files",
    multiple=True,
    metavar="PATTERN",
    help="Source files whose accesses are watched; !PATTERN leaves files out. "
    "[default: mm/ without allocators, and what meets it]",
)
@out_option("RACE-WORKLOAD.witness.toml")
@click.option("--window", is_flag=True, help="Print windows for race.toml made of the witness.")
@run_options("10m", "search (wall time)")
@json_option
@click.pass_obj
def hunting(
    app: App,
    race_name: str | None,
    repro: Race | None,
    tree: str,
    series: tuple[str, ...],
    workload: str | None,
    files: tuple[str, ...],
    out: Path | None,
    window: bool,
    options: RunOptions,
) -> int:
    """Search for a schedule that shows a race, from its workload alone.

    Profiles which memory accesses of the kernel communicate, runs random schedules over them, and
    proves one that fails: as a witness for `mmrace replay`, made small, from another boot.
    """
    refuse("hunt", UNSTEERED)
    if not (race := chosen_race(race_name, repro)):
        raise UserError("hunt needs the failure that counts; name it with --race or --repro")
    chosen = race.find_workload(workload) if workload else race.hunted_workload()
    place = witness_place(out, f"{race.name}-{chosen.name}")
    done = hunt_race(open_session(app), tree, series, race, chosen, options, files or DEFAULT)
    windows = render_windows(done.finding.windows) if done.finding and window else None
    if done.finding:
        save_witness(place, done.finding.proven.witness)
    app.document({**done.document(str(place)), "windows": windows})
    if not app.as_json:
        _show(app, done, place)
        if windows:
            app.out.print(windows, markup=False)
    return 0 if done.proof.holds else 3


def _show(app: App, done: Hunted, out: Path) -> None:
    tried, proof = done.tried, done.proof
    rate = tried.schedules / tried.armed if tried.armed else 0.0
    held = tried.held / tried.armed if tried.armed else 0.0
    rows = [
        ("schedules", f"{tried.schedules} in {tried.boots} boots, {rate:.0f}/s, held {held:.0%}"),
        (
            "holds that another vCPU met or ended",
            f"{tried.met + tried.switched} of {tried.holds}",
        ),
        (
            "interleaving coverage",
            f"{len(tried.coverage.pairs)} pairs of accesses; of the last boot's schedules"
            f" {tried.coverage.unseen:.1%} showed new ones",
        ),
        ("failed with the race's signature", f"{tried.failures}, of these not proven {done.lost}"),
        ("failed otherwise", ", ".join(f"{n} x {t}" for t, n in tried.foreign.items()) or "0"),
        (
            f"a bug of depth {done.tactics.depth} within {done.tactics.length} first visits",
            f"p >= {done.bound:.2g} to be found by one of {tried.priorities} schedules by"
            f" priorities, <= {done.missed:.3g} to be missed",
        ),
        ("seconds", f"{done.seconds:.0f}"),
    ]
    if done.first is not None:
        rows.insert(4, ("race phases until the first failure", f"{done.first:.1f} s"))
    if done.control is not None:
        rows.append(("guests that failed without any order", f"{done.control} of {CONTROLS}"))
    if done.finding:
        again = sum(item.failed for item in proof.replays)
        name = f"witness {out}" if proof.holds else f"{out}, not proven"
        rows.append((name, f"{again} of {len(proof.replays)} replays failed"))
        if proof.unheld is not None:
            rows.append(("as many guests without the schedule", f"{proof.unheld} failed"))
    app.out.print(table(("", ""), rows))
    if done.story:
        app.out.print("\n".join(columns(done.story)), markup=False)


COMMANDS = (hunting,)
