# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules with a bound: probabilistic concurrency testing.

Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees
of Finding Bugs" (ASPLOS 2010). Each actor gets a random priority, the highest that can run runs.
At d-1 hits of sync points, chosen at random among k, the one that runs falls below all others. A
bug that needs d ordering constraints is then found with a probability of at least 1/(n k^(d-1)).

Here a schedule has but some of all points, drawn anew: with fewer of them k is smaller as well.
"""

import math
import random
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Priorities by actor, higher ones first to run; ``changes``: hits, counted from 1."""

    priorities: tuple[int, ...]
    changes: tuple[int, ...]

    def fallen(self, hit: int) -> int | None:
        """The priority of the one that makes this hit, if it falls: below all before it."""
        return -1 - self.changes.index(hit) if hit in self.changes else None


def draw(seed: int, actors: int, hits: int, depth: int) -> Schedule:
    """Draw a schedule; ``seed`` determines it."""
    chance = random.Random(seed)  # noqa: S311 - nobody has to be kept from guessing it
    priorities = list(range(actors))
    chance.shuffle(priorities)
    # With replacement in the paper, where the later of two equal ones has no effect.
    changes = sorted(chance.sample(range(1, hits + 1), min(depth - 1, hits)))
    return Schedule(tuple(priorities), tuple(changes))


def share(seed: int) -> float:
    """When a schedule begins, as a share of the time that there is."""
    return random.Random(f"start {seed}").random()  # noqa: S311


def pick(seed: int, points: Collection[str], number: int) -> frozenset[str]:
    """Draw the points of a schedule, all of them when there are no more."""
    chance = random.Random(f"points {seed}")  # noqa: S311
    return frozenset(chance.sample(sorted(points), min(number, len(points))))


def picked(points: int, number: int, depth: int) -> float:
    """Probability with which the points where a bug of this depth needs its changes are drawn."""
    left = range(min(depth - 1, points))
    return math.prod(max(min(number, points) - done, 0) / (points - done) for done in left)


def bound(actors: int, hits: int, depth: int) -> float:
    """Probability with which one schedule finds a bug of this depth, at least."""
    return 1.0 / (actors * float(hits) ** (depth - 1))


def missed(one: float, schedules: int) -> float:
    """Probability with which so many schedules all miss what one finds with that probability."""
    return float((1 - one) ** float(schedules))
