# SPDX-License-Identifier: GPL-2.0-only
"""What schedules by priorities exclude when they find nothing.

Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees
of Finding Bugs" (ASPLOS 2010). Of n actors the one with the highest priority that can run runs; at
d-1 steps chosen at random among k the one that runs falls below all others. A bug that needs d
ordering constraints is then found with a probability of at least 1/(n k^(d-1)).

The director's steps are the first visits of a vCPU to a communicating access within a schedule; its
changes are drawn with replacement, as in the paper. A schedule that had fewer than k of them, or in
which a vCPU had to be let go since the others waited for it, is not counted.
"""


def bound(actors: int, length: int, depth: int) -> float:
    """Least probability that one schedule finds a bug of this depth."""
    return 1.0 / (actors * float(length) ** (depth - 1))


def missed(one: float, schedules: int) -> float:
    """Probability that all of ``schedules`` miss a bug that each finds with probability ``one``."""
    return float((1 - one) ** float(schedules))
