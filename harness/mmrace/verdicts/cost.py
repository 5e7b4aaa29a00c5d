# SPDX-License-Identifier: GPL-2.0-only
"""What operations cost, in guest instructions: medians over many, before and after a fix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

REPEATS = 20  # fewer measurements of an operation are no figure


@dataclass(frozen=True)
class Figure:
    """One operation on one kernel: how often it was measured, median and quartiles.

    ``counters`` are sums over the run, ``per`` times an operation.
    """

    repeats: int
    median: float
    low: float
    high: float
    counters: Mapping[str, int]

    def per(self, counter: str) -> float:
        """What the run counted for each operation."""
        return self.counters[counter] / self.repeats


@dataclass(frozen=True)
class Difference:
    """What a fix adds to an operation; None where a kernel gave no figure."""

    operation: str
    before: Figure | None
    after: Figure | None

    @property
    def added(self) -> float | None:
        """Instructions, by the medians."""
        if not self.before or not self.after:
            return None
        return self.after.median - self.before.median

    @property
    def share(self) -> float | None:
        """The same as a share of what the operation cost before."""
        if self.added is None or not self.before or not self.before.median:
            return None
        return self.added / self.before.median

    @property
    def clear(self) -> bool:
        """Whether the middle halves of the measurements are apart."""
        if not self.before or not self.after:
            return False
        return self.before.high < self.after.low or self.after.high < self.before.low


def figure(samples: Sequence[int], counters: Mapping[str, int]) -> Figure | None:
    """Sum up one run's measurements of an operation; None when there are too few."""
    if len(samples) < REPEATS:
        return None
    low, _, high = quantiles(samples, n=4)
    return Figure(len(samples), median(samples), low, high, counters)
