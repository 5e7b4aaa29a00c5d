# SPDX-License-Identifier: GPL-2.0-only
"""Guest time that the two kernels spent in the race phase, and the bound it gives.

The bound rests on a constant hazard: failures of either kernel come at a rate per second that does
not change within a run or between runs. The sign test does not need that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrace.lazy import Lazy

stats = Lazy("scipy.stats")


@dataclass(frozen=True)
class Stress:
    """Seconds in the race phase.

    ``clean``: of "after", in the runs that held, all together. ``failed``: of "before" until the
    race's own failure, each run. ``censored``: of "before", in runs that ended in another way.
    """

    clean: float = 0.0
    failed: tuple[float, ...] = ()
    censored: tuple[float, ...] = ()

    def with_clean(self, seconds: float | None) -> "Stress":
        """Add a run of "after" that held; one of unknown length adds nothing."""
        return Stress(self.clean + (seconds or 0.0), self.failed, self.censored)

    def with_before(self, seconds: float | None, failed: bool) -> "Stress":
        """Add a run of "before"; one of unknown length adds nothing."""
        if seconds is None:
            return self
        if failed:
            return Stress(self.clean, (*self.failed, seconds), self.censored)
        return Stress(self.clean, self.failed, (*self.censored, seconds))

    @property
    def median(self) -> float | None:
        """Median time to failure of "before"; None when fewer than half of the runs failed.

        Kaplan and Meier's estimate (J. Am. Stat. Assoc. 53, 1958): runs that something else ended
        count until then.
        """
        if not self.failed:
            return None
        found = stats.ecdf(stats.CensoredData(uncensored=self.failed, right=self.censored)).sf
        below = np.asarray(found.quantiles)[np.asarray(found.probabilities) <= 0.5]
        return float(below[0]) if below.size else None

    @property
    def medians(self) -> float | None:
        """Clean seconds of "after", in median times to failure of "before"."""
        return self.clean / self.median if self.median else None

    def hazard_ratio_bound(self, alpha: float) -> float | None:
        """Return the upper bound at level ``alpha`` on the hazard of "after" over "before"'s.

        With constant hazards h and r h, the time T in which "before" failed d times is gamma
        distributed, and "after" holds for c T with probability (1 + r c)^-d: that is the Laplace
        transform of T at r c h. It is alpha at r = (alpha^(-1/d) - 1) / c.
        """
        total = sum(self.failed) + sum(self.censored)
        if not self.failed or not self.clean or not total:
            return None
        return float((alpha ** (-1 / len(self.failed)) - 1) * total / self.clean)

    def as_json(self) -> dict[str, Any]:
        """``stress`` of a path in the JSON documents."""
        return {
            "clean_seconds_after": round(self.clean, 3),
            "median_seconds_to_failure_before": self.median,
            "medians": self.medians,
        }
