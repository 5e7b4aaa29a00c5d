# SPDX-License-Identifier: GPL-2.0-only
"""``points``: what a window or a witness can name inside a function."""

import click

from mmrace.cli.app import App, config_options, json_option
from mmrace.cli.tables import table
from mmrace.definitions.point import Where, parse_point
from mmrace.errors import UserError
from mmrace.runs import campaign
from mmrace.runs.campaign import Built
from mmrace.symbols.resolve import Occurrence, Resolver


def resolver_for(built: Built) -> Resolver:
    """Return the resolver of a built kernel; what it finds is kept beside the kernel."""
    kernel = built.kernel
    name = f"{built.tree.name} {'+'.join(built.series)} ({kernel.release})"
    return Resolver(kernel.vmlinux, name, kernel.folder / "points.json")


def kind(found: Occurrence) -> str:
    """How the function gets there."""
    if found.inlined:
        return "inlined"
    return "jump" if found.tail else "call"


@click.command("points")
@click.argument("function")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--series", multiple=True, help="Series to apply first; may be repeated.")
@config_options
@json_option
@click.pass_obj
def points(
    app: App, function: str, tree_name: str, series: tuple[str, ...], configs: tuple[str, ...]
) -> int:
    """What can be named inside FUNCTION: `before NAME in FUNCTION`, `after NAME in FUNCTION`.

    A name that occurs at several lines is also NAME #1, NAME #2 in their order. `entry of
    FUNCTION` and `return of FUNCTION` are always there, unless an error says otherwise.
    """
    built = campaign.build(app.home, tree_name, series, configs, app.step, app.intake)
    resolver = resolver_for(built)
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


_EDGES = (Where.ENTRY, Where.RETURN)


def _edge(resolver: Resolver, where: Where, function: str) -> list[str]:
    """Addresses of a function's entry or return; none where it has no such place."""
    try:
        text = str(parse_point(f"{where} of {function}"))
        return [f"{address:#x}" for address in resolver.resolve((text,)).addresses]
    except UserError:
        return []


COMMANDS = (points,)
