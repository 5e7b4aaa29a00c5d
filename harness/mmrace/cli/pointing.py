# SPDX-License-Identifier: GPL-2.0-only
"""``points``: what a window or a witness can name inside a function."""

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import build_options, series_option, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.point import Where, parse_point
from mmrace.errors import UserError
from mmrace.runs.options import RunOptions
from mmrace.symbols.resolve import Occurrence, Resolver


def kind(found: Occurrence) -> str:
    """How the function gets there."""
    if found.inlined:
        return "inlined"
    return "jump" if found.tail else "call"


@click.command("points")
@click.argument("function")
@tree_option()
@series_option
@build_options
@json_option
@click.pass_obj
def points(app: App, function: str, tree: str, series: tuple[str, ...], options: RunOptions) -> int:
    """What can be named inside FUNCTION: `before NAME in FUNCTION`, `after NAME in FUNCTION`.

    A name that occurs at several lines is also NAME #1, NAME #2 in their order. `entry of
    FUNCTION` and `return of FUNCTION` are always there, unless an error says otherwise.
    """
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


_EDGES = (Where.ENTRY, Where.RETURN)


def _edge(resolver: Resolver, where: Where, function: str) -> list[str]:
    """Addresses of a function's entry or return; none where it has no such place."""
    try:
        text = str(parse_point(f"{where} of {function}"))
        return [f"{address:#x}" for address in resolver.resolve((text,)).addresses]
    except UserError:
        return []


COMMANDS = (points,)
