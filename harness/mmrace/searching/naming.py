# SPDX-License-Identifier: GPL-2.0-only
"""Names for the instruction behind an access, most likely ones first."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from mmrace.definitions.point import Point, Where
from mmrace.errors import UserError
from mmrace.symbols.accesses import AccessSite
from mmrace.symbols.dwarf import Body
from mmrace.symbols.resolve import Occurrence, Resolver
from mmrace.windows.search import Pair

_NEAR = 96  # bytes, at most, from an access to the function entry or call that stands for it


class Names:
    """Names of points in one kernel for the accesses of a search."""

    def __init__(self, resolver: Resolver, sites: Sequence[AccessSite]) -> None:
        self._resolver = resolver
        self._sites: Mapping[int, AccessSite] = {site.address: site for site in sites}
        self._behind: dict[str, AccessSite] = {}

    def exact(self, address: int) -> str:
        """Return the instruction behind an access as symbol+offset, valid for this build.

        "" for an unknown access.
        """
        site = self._sites.get(address)
        if not site:
            return ""
        text = str(Point(Where.AT, site.symbol, offset=site.next - site.entry))
        self._behind[text] = site
        return text

    def symbolic(self, exact: str) -> tuple[str, ...]:
        """Return names that may stand for a point from ``exact`` in other builds too, best first.

        Each resolves in this kernel; replays decide whether it leads to the same failure.
        """
        site = self._behind.get(exact)
        if not site:
            return ()
        found: list[str] = []
        for text in dict.fromkeys(self._candidates(site)):
            with suppress(UserError):
                resolved = self._resolver.resolve((text,))
                if not resolved.gate:
                    found.append(text)
                    self._behind.setdefault(text, site)
        return tuple(found)

    def address(self, point: str) -> int | None:
        """Address of the access for which a name was made here, None for an unknown name."""
        site = self._behind.get(point)
        return site.address if site else None

    def partner(self, point: str, pairs: Sequence[Pair]) -> str:
        """Name where another vCPU meets the access before a point from here; "" for nowhere.

        ``pairs``: those of a profile; the first pair with the access is used.
        """
        site = self._behind.get(point)
        for pair in pairs if site else ():
            if site and site.address in (pair.first, pair.second):
                other = pair.second if site.address == pair.first else pair.first
                exact = self.exact(other)
                return next(iter(self.symbolic(exact)), exact)
        return ""

    def _candidates(self, site: AccessSite) -> Iterator[str]:
        body = self._resolver.debug.body_at(site.address)
        if not body:
            return
        chain = [body, *_inside(body, site.address)]
        if len(chain) > 1:
            yield from self._after(body, chain[1])
        calls = [item for item in self._occurrences(body.name) if item.body.entry == body.entry]
        yield from _near_calls(body.name, calls, site)
        if 0 <= site.address - body.entry < _NEAR:
            yield str(Point(Where.ENTRY, body.name))
        for one in reversed(chain):
            line = self._resolver.debug.line(one, site.next) - one.declared + 1
            if line > 0 and one.declared:
                caller = body.name if one is not body else ""
                yield str(Point(Where.LINE, one.name, nth=line, caller=caller))

    def _after(self, outer: Body, inner: Body) -> Iterator[str]:
        """Name the code behind the inlined function of an access: all its copies, or this one."""
        copies = [item for item in self._occurrences(outer.name) if item.name == inner.name]
        lines = sorted({item.line for item in copies})
        number = 0
        if len(lines) > 1:
            own = [item.line for item in copies if item.copy and item.copy.entry == inner.entry]
            number = lines.index(own[0]) + 1 if own else 0
        yield str(Point(Where.AFTER, outer.name, inner=inner.name, nth=number))

    def _occurrences(self, function: str) -> tuple[Occurrence, ...]:
        try:
            return self._resolver.occurrences(function)
        except UserError:
            return ()


def _inside(body: Body, address: int) -> Iterator[Body]:
    """The functions inlined around an address, outermost first."""
    for inner in body.inner:
        if address in inner:
            yield inner
            yield from _inside(inner, address)
            return


def _near_calls(function: str, calls: Sequence[Occurrence], site: AccessSite) -> Iterator[str]:
    """The nearest call behind the access, and the nearest before it."""
    outside = [item for item in calls if not item.inlined and not item.tail]
    later = [item for item in outside if 0 <= item.address - site.next < _NEAR]
    earlier = [item for item in outside if 0 < site.address - item.address < _NEAR]
    if later:
        yield _numbered(Where.BEFORE, function, min(later, key=lambda item: item.address), calls)
    if earlier:
        yield _numbered(Where.AFTER, function, max(earlier, key=lambda item: item.address), calls)


def _numbered(where: Where, function: str, call: Occurrence, calls: Sequence[Occurrence]) -> str:
    lines = sorted({item.line for item in calls if item.name == call.name})
    nth = lines.index(call.line) + 1 if len(lines) > 1 else 0
    return str(Point(where, function, inner=call.name, nth=nth))
