# SPDX-License-Identifier: GPL-2.0-only
"""Proof of a single revision, by fresh runs and apart from the search that led to it.

A one-sided sequential probability ratio test (Wald, Ann. Math. Stat. 16, 1945) between "has the
failure" and "has it not". Whatever the number of runs, a wrong claim passes with probability
``error`` at most. Without failures, known q and e = 0 it takes n >= ln(1/error)/q clean runs.
"""

import math
from dataclasses import dataclass

import numpy as np

from mmrace.bisect.dag import Floats
from mmrace.bisect.posterior import Model, Tally

_MOST = 1 << 20


@dataclass(frozen=True)
class Claim:
    """That the revision of ``row`` has the failure, or has it not."""

    row: int
    bad: bool


@dataclass(frozen=True)
class Rates:
    """The rates under which claims are tested: posterior weights of q and e before the proof."""

    model: Model
    q_weights: Floats
    e_weights: Floats
    error: float

    def missing(self, claim: Claim, fresh: Tally) -> int:
        """Return how many more runs, all as claimed, the proof takes; 0 when it is done."""
        if self._proved(claim, fresh):
            return 0
        more = 1
        while not self._proved(claim, _extend(fresh, more, claim.bad)):
            more *= 2
            if more > _MOST:
                return _MOST
        low, high = more // 2, more
        while high - low > 1:
            middle = (low + high) // 2
            done = self._proved(claim, _extend(fresh, middle, claim.bad))
            low, high = (low, middle) if done else (middle, high)
        return high

    def _proved(self, claim: Claim, fresh: Tally) -> bool:
        log_q, log_not_q, log_e, log_not_e = self.model.logs
        clean = fresh.runs - fresh.failures
        bad = _mean(fresh.failures * log_q + clean * log_not_q, self.q_weights)
        good = _mean(fresh.failures * log_e + clean * log_not_e, self.e_weights)
        ratio = bad - good if claim.bad else good - bad
        return ratio >= -math.log(self.error)


def _mean(logs: Floats, weights: Floats) -> float:
    """Return the log of the weighted mean of what ``logs`` are the logs of."""
    top = logs.max()
    return float(top + np.log(np.exp(logs - top) @ weights + 1e-300))


def _extend(fresh: Tally, more: int, bad: bool) -> Tally:
    return Tally(fresh.runs + more, fresh.failures + (more if bad else 0))
