# SPDX-License-Identifier: GPL-2.0-only
"""How often a kernel fails: exact intervals and bounds for a share of runs."""

import math
from dataclasses import dataclass

from mmrace.lazy import Lazy

stats = Lazy("scipy.stats")


@dataclass(frozen=True)
class Rate:
    """Failures among runs that could show one, with an exact two-sided interval."""

    runs: int
    failures: int
    low: float
    high: float


def interval(runs: int, failures: int, confidence: float = 0.95) -> Rate:
    """Clopper and Pearson's interval (Biometrika 26, 1934); without runs it is [0, 1]."""
    if not runs:
        return Rate(0, 0, 0.0, 1.0)
    found = stats.binomtest(failures, runs).proportion_ci(confidence, method="exact")
    return Rate(runs, failures, float(found.low), float(found.high))


def upper_bound(runs: int, failures: int, alpha: float) -> float:
    """One-sided exact upper bound at level ``alpha``.

    Without failures it is 1 - alpha^(1/runs), a little under -ln(alpha)/runs, and bounds the
    average rate even when the rate is not the same in every run.
    """
    if failures >= runs:
        return 1.0
    return float(stats.beta.ppf(1 - alpha, failures + 1, runs - failures))


def clean_runs(rate: float, alpha: float) -> int:
    """Return how many runs without failure lower ``upper_bound`` to ``rate``."""
    if rate >= 1:
        return 0
    return math.ceil(math.log(alpha) / math.log1p(-rate))
