# SPDX-License-Identifier: GPL-2.0-only
"""``replay``: a witness again, on this kernel or another."""

import statistics
from pathlib import Path

import click

from mmrace.cli.app import App, config_options, json_option, stub_accel_option
from mmrace.cli.duration import DURATION
from mmrace.cli.pointing import resolver_for
from mmrace.cli.tables import table
from mmrace.definitions.race import load_race
from mmrace.definitions.witness import load_witness
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.runs import campaign
from mmrace.runs.campaign import Choice, Workbench
from mmrace.runs.replay import JOB_SECONDS, Replays, follow


@click.command("replay")
@click.argument("witness_path", metavar="WITNESS", type=click.Path(path_type=Path))
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--series", multiple=True, help="Series to apply first; may be repeated.")
@click.option("--times", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--for",
    "seconds",
    type=DURATION,
    default="2s",
    show_default=True,
    help="Of a replay: the order is tried again until then.",
)
@stub_accel_option
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@config_options
@json_option
@click.pass_obj
def replay(
    app: App,
    witness_path: Path,
    tree_name: str,
    series: tuple[str, ...],
    times: int,
    seconds: float,
    accel: str,
    ltp: str | None,
    configs: tuple[str, ...],
) -> int:
    """Follow the schedule in WITNESS, each time from the same snapshot at the race's start."""
    witness = load_witness(witness_path)
    race = load_race(witness.race)
    workload = race.find_workload(witness.workload)
    wanted = race.fragments(configs)
    built = campaign.build(app.home, tree_name, series, wanted, app.step, app.intake)
    if built.kernel.id != witness.found_on:
        app.note(f"found on {witness.release}, kernel {witness.found_on}; this is another one")
    choice = Choice(
        machine=witness.machine,
        accel=accel,
        seconds=JOB_SECONDS,
        seed=witness.seed,
        ltp=ltp,
        steer=False,
    )
    bench = Workbench(app.home, app.step)
    spec, parts = bench.plan(built, race, workload, choice, "")
    resolver = resolver_for(built)
    with app.step(f"replay {witness_path.name}") as tell:
        done = follow(app.home, spec, parts, resolver, witness, times, seconds, tell)
        tell(f"= {done.failed} of {times} failed")
    _show(app, witness.race, parts.accel, done)
    return exit_code(done)


def exit_code(done: Replays) -> int:
    """1 when the race showed, 0 when every replay carried out the order and held, else 3."""
    if done.failed:
        return 1
    return 0 if done.complete == len(done.done) and not done.foreign else 3


def _show(app: App, race: str, accel: Accel, done: Replays) -> None:
    app.document(
        {
            "race": race,
            "accel": accel.name,
            "kvm": steering_under_kvm(accel),
            "replays": len(done.done),
            "failed": done.failed,
            "shown": done.shown,
            "reached": done.reached,
            "complete": done.complete,
            "infeasible": done.infeasible,
            "foreign": list(done.foreign),
            "stalls": sum(item.stalls for item in done.done),
            "seconds": round(sum(done.seconds), 3),
            "seconds_median": round(statistics.median(done.seconds), 3),
            "seconds_longest": round(max(done.seconds), 3),
        }
    )
    if app.as_json:
        return
    rows = [
        ("failed as the race does", f"{done.failed} of {len(done.done)}"),
        ("of these right after the whole order", str(done.shown)),
        ("came to the first point", str(done.reached)),
        ("carried out the whole order", str(done.complete)),
        ("infeasible", str(done.infeasible)),
        ("failed otherwise", " ".join([str(len(done.foreign)), *sorted(set(done.foreign))])),
        (
            "seconds each, median and longest",
            f"{statistics.median(done.seconds):.2f}, {max(done.seconds):.2f}",
        ),
    ]
    app.out.print(table(("", ""), rows))
    reasons = {item.why for one in done.done if not one.complete for item in one.attempts}
    for why in sorted(reasons - {""}):
        app.out.print(why, markup=False)


COMMANDS = (replay,)
