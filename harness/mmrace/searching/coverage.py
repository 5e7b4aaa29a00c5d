# SPDX-License-Identifier: GPL-2.0-only
"""Interleaving coverage of a search: the ordered pairs of accesses that it has seen."""

from dataclasses import dataclass, field

from mmrace.windows.search import Searched

PairKey = tuple[int, int]


@dataclass
class Coverage:
    """Ordered pairs of accesses to one word by two vCPUs, over all boots of a search.

    ``growth``: after each boot, the number of schedules and of pairs so far. Of the ``latest``
    schedules, those of the last boot, ``fruitful`` showed a pair that no earlier boot had shown.
    """

    pairs: set[PairKey] = field(default_factory=set)
    schedules: int = 0
    growth: list[tuple[int, int]] = field(default_factory=list)
    fruitful: int = 0
    latest: int = 0

    def add(self, searched: Searched) -> None:
        """Add the pairs of one boot."""
        new = [one for one in searched.pairs if (one.first, one.second) not in self.pairs]
        self.pairs |= {(one.first, one.second) for one in new}
        self.latest = searched.counts.schedules
        self.fruitful = len({one.schedule for one in new if one.schedule})
        self.schedules += self.latest
        self.growth.append((self.schedules, len(self.pairs)))

    @property
    def unseen(self) -> float:
        """Estimated probability that one more schedule shows a new pair.

        After Good and Turing: the share of the last boot's schedules that showed one.
        """
        return self.fruitful / self.latest if self.latest else 1.0
