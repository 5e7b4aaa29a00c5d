# SPDX-License-Identifier: GPL-2.0-only
"""Which accesses of a kernel communicate under a workload: stored per kernel, merged over boots."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmrace.home import write_file
from mmrace.symbols.accesses import AccessSite
from mmrace.windows.search import Pair, Searched, SearchPlan, Site, Tactics

_FORMAT = 1


@dataclass(frozen=True)
class Profile:
    """Communicating accesses, as addresses of their instructions in one kernel.

    ``boots``, ``seconds`` (of race phase) and ``accesses``: what was watched for it. ``runs``: ids
    of these boots, where they had one; no boot is added twice.
    """

    boots: int = 0
    seconds: float = 0.0
    accesses: int = 0
    pairs: tuple[Pair, ...] = ()
    runs: tuple[str, ...] = ()

    def merged(
        self, searched: Searched, seconds: float, beside: Collection[int] = (), run: str = ""
    ) -> "Profile":
        """Return this profile with the pairs of one more boot; ``run``: the boot's id.

        A pair counts only if one of its two addresses is outside ``beside``.
        """
        if run in self.runs:
            return self
        seen = (
            pair for pair in searched.pairs if not (pair.first in beside and pair.second in beside)
        )
        return Profile(
            boots=self.boots + 1,
            seconds=self.seconds + seconds,
            accesses=self.accesses + searched.counts.accesses,
            pairs=_merged((*self.pairs, *seen)),
            runs=(*self.runs, *filter(None, (run,))),
        )

    def ranked(self) -> tuple[Pair, ...]:
        """Return the pairs, those closest in time first.

        Ranked by rarity instead, the pairs that matter come far later (docs/concepts/search.md).
        """
        return tuple(sorted(self.pairs, key=lambda pair: (pair.gap, pair.first, pair.second)))

    @property
    def addresses(self) -> frozenset[int]:
        """Addresses of all instructions in a pair."""
        return frozenset(at for pair in self.pairs for at in (pair.first, pair.second))


def _merged(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    found: dict[tuple[int, int], Pair] = {}
    for pair in pairs:
        before = found.setdefault((pair.first, pair.second), pair)
        if before is not pair:
            closest = min(before, pair, key=lambda one: one.gap)
            found[pair.first, pair.second] = replace(
                closest,
                count=before.count + pair.count,
                stores=(
                    before.stores[0] or pair.stores[0],
                    before.stores[1] or pair.stores[1],
                ),
            )
    return tuple(found.values())


def make_search(
    sites: Iterable[AccessSite],
    tactics: Tactics,
    profile: Profile | None = None,
    more: Collection[int] = (),
    alone: Collection[str] = (),
    traces: int = 0,
) -> SearchPlan:
    """Plan to watch all sites, or, with a profile, those that communicate.

    ``more``: addresses to add. Holds are shared evenly between functions; in functions named in
    ``alone`` each access gets a share of its own. ``traces``: how many of the last accesses
    are kept, of all sites.
    """
    sites = tuple(sites)
    addresses = profile.addresses | set(more) if profile else None
    chosen = [site for site in sites if addresses is None or site.address in addresses]
    names = {site.function for site in chosen}
    if addresses is not None:
        chosen += [site for site in sites if site.stack and (traces or site.function in names)]
    scheduled = {site.address for site in chosen}
    if traces:
        chosen += [site for site in sites if site.address not in scheduled]
    shares = {site.address: _share(site, alone) for site in chosen}
    groups = {share: number for number, share in enumerate(sorted(set(shares.values())))}
    return SearchPlan(
        sites=tuple(
            sorted(
                (
                    Site(
                        site.address,
                        groups[shares[site.address]],
                        site.stack,
                        site.address not in scheduled,
                    )
                    for site in chosen
                ),
                key=lambda site: site.address,
            )
        ),
        groups=max(len(groups), 1),
        tactics=tactics,
        traces=traces,
    )


def _share(site: AccessSite, alone: Collection[str]) -> tuple[str, int]:
    """The group among which holds are shared evenly: a function, or one of its accesses.

    For sites with ``beside`` a whole source file: they are many, and few of them matter.
    """
    if site.beside and site.function not in alone:
        return site.beside, 0
    return site.function, site.address if site.function in alone and not site.stack else 0


def load_profile(path: Path) -> Profile:
    """Read a profile; return an empty one for a missing file or another version's."""
    try:
        kept: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return Profile()
    if kept.pop("format", 0) != _FORMAT:
        return Profile()
    pairs = (
        Pair(**{**fields, "stores": (fields["stores"][0], fields["stores"][1])})
        for fields in kept.pop("pairs")
    )
    return Profile(pairs=tuple(pairs), runs=tuple(kept.pop("runs", ())), **kept)


def save_profile(path: Path, profile: Profile) -> None:
    """Write a profile by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps({"format": _FORMAT, **asdict(profile)}))
