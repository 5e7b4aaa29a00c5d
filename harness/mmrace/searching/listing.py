# SPDX-License-Identifier: GPL-2.0-only
"""A profile for people: pairs of accesses with functions and lines of source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmrace.definitions.race import Race
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.runs.kernels import Built
from mmrace.searching.ground import Ground, survey
from mmrace.symbols.decode import Place
from mmrace.symbols.fields import fields_of
from mmrace.symbols.symbolizer import Vmlinux
from mmrace.windows.search import Pair


@dataclass(frozen=True)
class End:
    """One access of a pair, at ``place``, in the function ``within``.

    ``function``: the inlined function that makes the access, else ``within``. ``field``: the
    accessed field, as ``page.flags``, "" when DWARF does not tell.
    """

    function: str
    within: str
    place: str
    stores: bool
    field: str = ""

    def __str__(self) -> str:
        """The access as one cell of a table."""
        inside = f" in {self.within}" if self.within != self.function else ""
        what = f" {self.field}" if self.field else ""
        return f"{'store' if self.stores else 'load'}{what}: {self.function}{inside} ({self.place})"


@dataclass(frozen=True)
class ListedPair:
    """A pair of a profile; ``gap`` in seconds."""

    gap: float
    count: int
    first: End
    second: End


def list_profile(
    home: Home, built: Built, race: Race, workload: str | None, most: int
) -> tuple[Ground, tuple[ListedPair, ...]]:
    """Return the profile that hunts of a workload (None: the race's for hunts) left for a kernel.

    ``most``: maximum number of pairs. Raises UserError when there was no hunt.
    """
    chosen = race.hunted_workload(workload)
    name = f"{race.name}-{chosen.name}"
    ground = survey(home, built.resolver(), built.kernel.id, name)
    if not ground.profile.boots:
        raise UserError(f"no profile of {name} on this kernel; `mmrace hunt` makes one")
    pairs = ground.profile.ranked()[:most]
    both = dict.fromkeys(at for pair in pairs for at in (pair.first, pair.second))
    spans = [(site.address, site.next) for site in ground.sites if site.address in both]
    fields = fields_of(built.resolver().debug, spans)
    places = Vmlinux(built.kernel.vmlinux, home).places(tuple(both))
    return ground, tuple(listed(pair, places, fields) for pair in pairs)


def listed(
    pair: Pair, places: Mapping[int, Sequence[Place]], fields: Mapping[int, str]
) -> ListedPair:
    """Return a pair with the functions, lines and fields of its two addresses."""
    first, second = (
        _end(address, places.get(address, ()), stores, fields.get(address, ""))
        for address, stores in zip((pair.first, pair.second), pair.stores, strict=True)
    )
    return ListedPair(pair.gap, pair.count, first, second)


def _end(address: int, places: Sequence[Place], stores: bool, field: str) -> End:
    if not places:
        return End(f"{address:#x}", f"{address:#x}", "?", stores, field)
    # Not the innermost place: that is in bitops.h or atomic.h nearly always.
    source = (number for number, place in enumerate(places) if place.file.endswith(".c"))
    at = next(source, len(places) - 1)
    outer, inner = places[at], places[max(0, at - 1)]
    return End(inner.function, outer.function, f"{outer.file}:{outer.line}", stores, field)
