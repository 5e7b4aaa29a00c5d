# SPDX-License-Identifier: GPL-2.0-only
"""``cost``: what a fix costs the operation that pays for it."""

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    UNSTEERED,
    Place,
    given,
    place_options,
    refuse,
    reproducer_options,
    run_options,
    tree_option,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race
from mmrace.errors import UserError
from mmrace.experiments.cost import Costs, choose_operations, costs_of_series, measure_costs
from mmrace.runs.options import RunOptions
from mmrace.verdicts.cost import Difference, Figure


@click.command("cost")
@click.option("--race", "races", multiple=True, help="Race; repeatable. [default: all with costs]")
@reproducer_options
@tree_option()
@click.option("--before", multiple=True, required=True, help="Series; none: the tree as it is.")
@click.option("--after", multiple=True, required=True, help="Series on top of --before.")
@click.option("--operation", "operations", multiple=True, help="Operation. [default: all]")
@place_options
@run_options("10s")
@json_option
@click.pass_obj
def cost(
    app: App,
    races: tuple[str, ...],
    repro: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    operations: tuple[str, ...],
    place: Place,
    options: RunOptions,
) -> int:
    """Count guest instructions per operation, before and after a fix.

    With --repro the operations are calls of the functions that the series changes.
    """
    refuse("cost", UNSTEERED)
    options = options if given("seed") else options.with_(seed=1)
    session = open_session(app, place=place)
    if repro:
        if races or operations:
            raise UserError("--repro measures what the series changes; omit --race and --operation")
        chosen = costs_of_series(session, tree, before, after, repro, options)
    else:
        chosen = choose_operations(races, operations)
    done = measure_costs(session, tree, before, after, chosen, options)
    app.document(done.document())
    if not app.as_json:
        _show(app, done)
    return done.exit_code


def _show(app: App, done: Costs) -> None:
    rows = [
        (item.operation, _figure(item.before), _figure(item.after), _added(item))
        for item in done.differences
    ]
    app.out.print(table(("operation", "before", "after", "added"), rows))
    app.out.print("guest instructions: median (quartiles) of the number of operations")
    for run in done.runs:
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
