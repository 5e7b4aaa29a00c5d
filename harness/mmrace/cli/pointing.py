# SPDX-License-Identifier: GPL-2.0-only
"""``points``: what a window or a witness can name inside a function."""

from dataclasses import asdict

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import build_options, race_option, series_option, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.point import Where, parse_point
from mmrace.definitions.race import load_race
from mmrace.errors import UserError
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.searching.ground import survey
from mmrace.searching.listing import list_pairs
from mmrace.symbols.resolve import Occurrence, Resolver
from mmrace.symbols.symbolizer import Vmlinux


def kind(found: Occurrence) -> str:
    """How the function gets there."""
    if found.inlined:
        return "inlined"
    return "jump" if found.tail else "call"


@click.command("points")
@click.argument("function", required=False)
@tree_option()
@series_option
@build_options
@click.option("--profile", is_flag=True, help="Show the accesses that communicate under --race.")
@race_option("Race whose workload was profiled, by `mmrace hunt`.")
@click.option("--workload", help="Workload. [default: the race's for hunts, or its first]")
@click.option("--most", default=40, show_default=True, help="Pairs of accesses to show.")
@json_option
@click.pass_obj
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
) -> int:
    """What can be named inside FUNCTION: `before NAME in FUNCTION`, `after NAME in FUNCTION`.

    A name that occurs at several lines is also NAME #1, NAME #2 in their order. `entry of
    FUNCTION` and `return of FUNCTION` are always there, unless an error says otherwise.
    """
    if profile:
        if not race_name:
            raise UserError("--profile needs the workload that was profiled; name it with --race")
        race = load_race(race_name)
        built = open_session(app).build(tree, series, options, race)
        chosen = race.find_workload(workload) if workload else race.hunted_workload()
        return _profile(app, built, f"{race.name}-{chosen.name}", most)
    if not function:
        raise UserError("no function given; name one, or --profile with --race")
    built = open_session(app).build(tree, series, options)
    resolver = built.resolver()
    with app.step(f"points in {function}") as tell:
        tell("reading the kernel's debug information")
        found = resolver.occurrences(function)
    app.document(
        {
            "function": function,
            "kernel_id": built.kernel.id,
            "points": [
                {
                    "name": item.name,
                    "line": item.line,
                    "kind": kind(item),
                    "address": f"{item.address:#x}",
                }
                for item in found
            ],
            "edges": {str(where): _edge(resolver, where, function) for where in _EDGES},
        }
    )
    if not app.as_json:
        rows = [(item.name, str(item.line), kind(item), f"{item.address:#x}") for item in found]
        rows += [
            (f"{where} of {function}", "", "", " ".join(places))
            for where in _EDGES
            for places in [_edge(resolver, where, function)]
        ]
        app.out.print(table(("name", "line", "kind", "address"), rows))
    return 0


def _profile(app: App, built: Built, name: str, most: int) -> int:
    """Show the pairs of accesses that a workload made on a kernel, the closest in time first."""
    profile = survey(app.home, built.resolver(), built.kernel.id, name).profile
    if not profile.boots:
        raise UserError(f"no profile of {name} on this kernel; `mmrace hunt` makes one")
    pairs = list_pairs(profile, Vmlinux(built.kernel.vmlinux, app.home), most)
    app.document(
        {
            "kernel_id": built.kernel.id,
            "boots": profile.boots,
            "seconds": profile.seconds,
            "total": len(profile.pairs),
            "pairs": [asdict(pair) for pair in pairs],
        }
    )
    if not app.as_json:
        rows = [
            (f"{pair.gap * 1e6:.1f}", str(pair.count), str(pair.first), str(pair.second))
            for pair in pairs
        ]
        app.out.print(table(("gap, us", "times", "first", "then, by another vCPU"), rows))
        app.note(f"{len(pairs)} of {len(profile.pairs)} pairs, {profile.boots} boots")
    return 0


_EDGES = (Where.ENTRY, Where.RETURN)


def _edge(resolver: Resolver, where: Where, function: str) -> list[str]:
    """Addresses of a function's entry or return; none where it has no such place."""
    try:
        text = str(parse_point(f"{where} of {function}"))
        return [f"{address:#x}" for address in resolver.resolve((text,)).addresses]
    except UserError:
        return []


COMMANDS = (points,)
