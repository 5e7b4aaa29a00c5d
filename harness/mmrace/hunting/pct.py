# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules with a bound: probabilistic concurrency testing.

Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees
of Finding Bugs" (ASPLOS 2010). Each actor gets a random priority, the highest that can run runs.
At d-1 hits of sync points, chosen at random among k, the one that runs falls below all others. A
bug that needs d ordering constraints is then found with a probability of at least 1/(n k^(d-1)).
"""

import random
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


def bound(actors: int, hits: int, depth: int) -> float:
    """Probability with which one schedule finds a bug of this depth, at least."""
    return 1.0 / (actors * float(hits) ** (depth - 1))


def missed(actors: int, hits: int, depth: int, schedules: int) -> float:
    """Probability with which so many schedules all miss such a bug, at most."""
    return float((1 - bound(actors, hits, depth)) ** float(schedules))
