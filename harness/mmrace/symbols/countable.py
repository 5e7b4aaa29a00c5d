# SPDX-License-Identifier: GPL-2.0-only
"""Where kprobes can count a kernel's functions: out of line, and in each inlined copy."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mmrace.errors import UserError
from mmrace.symbols.resolve import Resolver
from mmrace.symbols.unprobeable import Unprobeable

COPIES = 24  # inlined copies, at most; a function with more is a helper used everywhere


@dataclass(frozen=True)
class Countable:
    """Addresses at which each function is counted; of the other functions, why not."""

    places: dict[str, tuple[int, ...]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def find_countable(
    resolver: Resolver, unprobeable: Unprobeable, functions: Iterable[tuple[str, str]]
) -> Countable:
    """Look up functions (name, file) in one kernel."""
    found = Countable()
    for name, file in functions:
        where = f"{file}:{name}" if file else name
        try:
            addresses = resolver.resolve([f"entry of {where}"]).addresses
        except UserError:
            found.refused[name] = "this kernel has no code of it"
            continue
        refused = {unprobeable.why_not(address) for address in addresses} - {""}
        free = tuple(item for item in addresses if not unprobeable.why_not(item))
        if len(addresses) > COPIES:
            found.refused[name] = f"it is inlined in {len(addresses)} places"
        elif free:
            found.places[name] = free
        else:
            found.refused[name] = f"kprobes cannot be in {', '.join(sorted(refused))}"
    return found
