# SPDX-License-Identifier: GPL-2.0-only
"""The places inside a function that a window or a witness can name."""

from collections.abc import Mapping
from dataclasses import dataclass

from mmrace.definitions.point import Where, parse_point
from mmrace.errors import UserError
from mmrace.symbols.resolve import Occurrence, Resolver

_EDGES = (Where.ENTRY, Where.RETURN)


@dataclass(frozen=True)
class Nameable:
    """Calls and inlined copies in a function; ``edges``: addresses of its entry and returns."""

    occurrences: tuple[Occurrence, ...]
    edges: Mapping[str, list[str]]


def nameable(resolver: Resolver, function: str) -> Nameable:
    """Return all places that can be named; UserError when the kernel lacks the function."""
    found = tuple(resolver.occurrences(function))
    return Nameable(found, {str(edge): _edge(resolver, edge, function) for edge in _EDGES})


def _edge(resolver: Resolver, where: Where, function: str) -> list[str]:
    """Addresses of a function's entry or return; empty when it has none."""
    try:
        text = str(parse_point(f"{where} of {function}"))
        return [f"{address:#x}" for address in resolver.resolve((text,)).addresses]
    except UserError:
        return []
