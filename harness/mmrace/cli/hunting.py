# SPDX-License-Identifier: GPL-2.0-only
"""``hunt``: search schedules for a witness."""

import secrets
from dataclasses import asdict
from pathlib import Path

import click

from mmrace.cli.app import App, config_options, json_option, stub_accel_option
from mmrace.cli.duration import DURATION
from mmrace.cli.pointing import resolver_for
from mmrace.cli.tables import table
from mmrace.definitions.race import Race, Workload, load_race
from mmrace.definitions.witness import save_witness
from mmrace.errors import UserError
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.hunting.hunt import CONTROLS, Found, Search, hunt
from mmrace.runs import campaign
from mmrace.runs.campaign import Choice, Workbench
from mmrace.runs.replay import JOB_SECONDS


@click.command("hunt")
@click.option("--race", "race_name", required=True, help="The race whose failure is looked for.")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--series", multiple=True, help="Series to apply first; may be repeated.")
@click.option("--workload", "workload_name", help="Default: the race's for hunts, or its first.")
@click.option("--function", "functions", multiple=True, help="Default: all that the race names.")
@click.option("--depth", type=click.IntRange(1, 8), default=3, show_default=True)
@click.option(
    "--hits",
    type=click.IntRange(2, 10_000),
    default=30,
    show_default=True,
    help="Of sync points, that one schedule orders.",
)
@click.option("--for", "seconds", type=DURATION, default="10m", show_default=True)
@click.option("--seed", type=int, help="Of the schedules; default: random.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the witness goes; default: RACE-WORKLOAD.witness.toml here.",
)
@click.option("--machine", help="Default: the race's.")
@stub_accel_option
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@config_options
@json_option
@click.pass_obj
def hunting(
    app: App,
    race_name: str,
    tree_name: str,
    series: tuple[str, ...],
    workload_name: str | None,
    functions: tuple[str, ...],
    depth: int,
    hits: int,
    seconds: float,
    seed: int | None,
    out: Path | None,
    machine: str | None,
    accel: str,
    ltp: str | None,
    configs: tuple[str, ...],
) -> int:
    """Search for a schedule that shows a race, given only names of functions.

    Random schedules with a bound (probabilistic concurrency testing); one that fails is made
    small and saved as a witness for `mmrace replay`.
    """
    race = load_race(race_name)
    workload = race.find_workload(workload_name) if workload_name else race.hunted_workload()
    search = Search(
        functions=_functions(race, functions),
        depth=depth,
        hits=hits,
        seconds=seconds,
        seed=secrets.randbelow(2**31) if seed is None else seed,
    )
    out = _place(out or Path(f"{race.name}-{workload.name}.witness.toml"))
    built = campaign.build(app.home, tree_name, series, race.fragments(configs), app.step)
    choice = Choice(machine=machine, accel=accel, seconds=JOB_SECONDS, seed=1, ltp=ltp, steer=False)
    spec, parts = Workbench(app.home, app.step).plan(built, race, workload, choice, "")
    with app.step(f"hunt {race.name}/{workload.name}") as tell:
        found = hunt(app.home, spec, parts, resolver_for(built), search, tell)
        tell(f"= {_told(found)}")
    if found.witness:
        save_witness(out, found.witness)
    _show(app, race, workload, parts.accel, found, out)
    return 0 if found.proof.holds else 3


def _told(found: Found) -> str:
    if not found.witness:
        return "none"
    steps = f"a witness of {len(found.witness.step)} steps"
    return steps if found.proof.holds else f"{steps}, not proven"


def _functions(race: Race, chosen: tuple[str, ...]) -> tuple[str, ...]:
    if not (chosen or race.functions):
        raise UserError(f"race {race.name} names no functions; give some by --function")
    return chosen or race.functions


def _place(out: Path) -> Path:
    """Where the witness goes, known to be possible before the search; a device is no such place."""
    if out.exists() and not out.is_file():
        raise UserError(f"{out} is no file; --out names the witness to be written")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out.parent} is no directory; --out names the witness to be written")
    return out


def _show(app: App, race: Race, workload: Workload, accel: Accel, found: Found, out: Path) -> None:
    tried, search, witness = found.tried, found.search, found.witness
    proof = found.proof
    again = sum(item.failed for item in proof.replays)
    app.document(
        {
            "race": race.name,
            "workload": workload.name,
            "accel": accel.name,
            "kvm": steering_under_kvm(accel),
            "witness": str(out) if witness else None,
            "steps": len(witness.step) if witness else None,
            "replays": len(proof.replays),
            "failed": again,
            "failed_unheld": proof.unheld,
            "proven": proof.holds,
            "functions": list(search.functions),
            "seed": search.seed,
            "depth": search.depth,
            "hits_ordered": search.hits,
            "bound": found.bound,
            "missed_at_most": found.missed,
            "tried": asdict(tried),
        }
    )
    if app.as_json:
        return
    rows = [
        ("schedules", f"{tried.schedules}, {tried.hits} hits of {tried.points} points"),
        ("of these, the race had shown before they began", str(tried.early)),
        ("helped on, as it waited for one that was held", str(tried.blocked)),
        ("failed as the race does", f"{tried.failures}, of them not shown again {tried.lost}"),
        (
            f"failed of itself within {tried.pace:g} s, a replay's time",
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
    if witness:
        name = f"witness {out}" if proof.holds else f"{out}, not proven"
        rows.append((name, f"{again} of {len(proof.replays)} replays failed"))
        if proof.unheld is not None:
            rows.append(("as many machines without the order", f"{proof.unheld} failed"))
    app.out.print(table(("", ""), rows))


COMMANDS = (hunting,)
