# SPDX-License-Identifier: GPL-2.0-only
"""How much of a workload's interleavings a search has seen, in pairs of accesses."""

from dataclasses import dataclass, field

from mmrace.windows.search import Searched

PairKey = tuple[int, int]


@dataclass
class Coverage:
    """Ordered pairs of accesses of one word by two vCPUs, over all boots of a search.

    ``growth``: after each boot the schedules so far, and the pairs. ``fruitful``: schedules of the
    last boot that brought pairs which no boot before had shown, of ``latest`` schedules.
    """

    pairs: set[PairKey] = field(default_factory=set)
    schedules: int = 0
    growth: list[tuple[int, int]] = field(default_factory=list)
    fruitful: int = 0
    latest: int = 0

    def add(self, searched: Searched) -> None:
        """Take in what one boot has shown."""
        new = [one for one in searched.pairs if (one.first, one.second) not in self.pairs]
        self.pairs |= {(one.first, one.second) for one in new}
        self.latest = searched.counts.schedules
        self.fruitful = len({one.schedule for one in new if one.schedule})
        self.schedules += self.latest
        self.growth.append((self.schedules, len(self.pairs)))

    @property
    def unseen(self) -> float:
        """Chance that one more schedule shows a pair that none has shown, by the last boot's.

        An estimate after Good and Turing: of what came latest, the share that was new.
        """
        return self.fruitful / self.latest if self.latest else 1.0
