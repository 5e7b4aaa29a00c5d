# SPDX-License-Identifier: GPL-2.0-only
"""``cost``: what a fix costs the operation that pays for it."""

from dataclasses import asdict
from itertools import groupby

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.duration import DURATION
from mmrace.cli.tables import table
from mmrace.definitions.race import Cost, Race, load_race, race_names
from mmrace.errors import UserError
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Choice, Workbench
from mmrace.runs.cost import Difference, Figure
from mmrace.runs.meter import figures, measure
from mmrace.runs.record import RunDir


@click.command("cost")
@click.option("--race", "race_names_", multiple=True, help="Default: all that say what costs.")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--before", multiple=True, required=True, help="Series; none: the tree.")
@click.option("--after", multiple=True, required=True, help="Series on top of --before.")
@click.option("--operation", "operations", multiple=True, help="Default: all of the races'.")
@click.option("--for", "seconds", type=DURATION, default="10s", show_default=True)
@click.option("--accel", type=click.Choice(["auto", "tcg"]), default="auto")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@json_option
@click.pass_obj
def cost(
    app: App,
    race_names_: tuple[str, ...],
    tree_name: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    operations: tuple[str, ...],
    seconds: float,
    accel: str,
    seed: int,
) -> int:
    """Count guest instructions per operation, before and after a fix."""
    chosen = _chosen(race_names_, operations)
    kernels = [
        campaign.build(app.home, tree_name, series, (), app.step, app.intake)
        for series in (before, (*before, *after))
    ]
    bench = Workbench(app.home, app.step)
    choice = Choice(accel=accel, seconds=seconds, seed=seed)
    made: list[Difference] = []
    runs: list[RunDir] = []
    for race, costs in chosen:
        for _, together in groupby(costs, lambda item: (item.workload, item.machine)):
            group = tuple(together)
            pair = [_measured(app, bench, built, race, group, choice) for built in kernels]
            runs += [run for run, _ in pair]
            made += [
                Difference(item.name, *(found[item.name] for _, found in pair)) for item in group
            ]
    _show(app, made, runs)
    return 0 if all(item.before and item.after for item in made) else 3


def _chosen(races: tuple[str, ...], operations: tuple[str, ...]) -> list[tuple[Race, list[Cost]]]:
    found = [load_race(name) for name in (races or race_names())]
    known = [item.name for race in found for item in race.cost]
    for name in operations:
        if name not in known:
            raise UserError(f"no operation {name!r}; there are: {', '.join(known) or 'none'}")
    wanted = [
        (race, [item for item in race.cost if not operations or item.name in operations])
        for race in found
    ]
    if not any(costs for _, costs in wanted):
        raise UserError(f"no operation is named by {', '.join(races)}; see [[cost]] in race.toml")
    return [(race, costs) for race, costs in wanted if costs]


def _measured(
    app: App, bench: Workbench, built: Built, race: Race, costs: tuple[Cost, ...], choice: Choice
) -> tuple[RunDir, dict[str, Figure | None]]:
    run = measure(app.home, bench, built, race, costs, choice)
    return run, figures(run, costs)


def _show(app: App, made: list[Difference], runs: list[RunDir]) -> None:
    app.document(
        {
            "operations": [
                {**asdict(item), "added": item.added, "share": item.share, "clear": item.clear}
                for item in made
            ],
            "runs": [run.as_json() for run in runs],
        }
    )
    if app.as_json:
        return
    rows = [
        (item.operation, _figure(item.before), _figure(item.after), _added(item)) for item in made
    ]
    app.out.print(table(("operation", "before", "after", "added"), rows))
    app.out.print(
        "guest instructions: median (quartiles) of the number of operations", markup=False
    )
    for run in runs:
        judged = run.judgement()
        app.out.print(f"{judged.outcome} {run.id} {judged.title}".rstrip(), markup=False)


def _figure(figure: Figure | None) -> str:
    if not figure:
        return "not measured"
    lines = [
        f"{figure.median:,.0f} ({figure.low:,.0f} .. {figure.high:,.0f}) of {figure.repeats}",
        *(f"{name} {count:,}" for name, count in figure.counters.items()),
    ]
    return "\n".join(lines)


def _added(item: Difference) -> str:
    if item.added is None or item.share is None:
        return ""
    return f"{item.added:+,.0f} ({item.share:+.2%}){'' if item.clear else ', within the spread'}"


COMMANDS = (cost,)
