# SPDX-License-Identifier: GPL-2.0-only
"""A verdict on a fix: its words, the rules it follows, and what it rests on."""

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from mmrace.errors import UserError
from mmrace.outcome import Outcome
from mmrace.verdicts.rates import Rate
from mmrace.verdicts.stress import Stress


class Verdict(StrEnum):
    """The answer; the words are those of the command line and of the JSON."""

    FIXED = "FIXED"
    NOT_FIXED = "NOT_FIXED"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this verdict."""
        return {"FIXED": 0, "NOT_FIXED": 1, "INCONCLUSIVE": 3}[self.value]


class Arm(StrEnum):
    """Which of the two kernels of a comparison."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Rules:
    """What FIXED takes, and how much may be spent on it.

    ``alpha`` bounds the chance of FIXED for a kernel that fails as often as "before", or at least
    ``ratio`` times as often. ``rate`` is the highest failure rate of "after" that FIXED may leave
    open (1: any). ``pairs`` is the budget of each path, spent by void pairs too. ``seed`` gives the
    order of the runs and their own seeds.
    """

    alpha: float = 0.001
    pairs: int = 200
    ratio: float = 1.0
    rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UserError for a number out of range."""
        for name, value in (("alpha", self.alpha), ("ratio", self.ratio), ("rate", self.rate)):
            if not 0 < value <= 1 or (name == "alpha" and value == 1):
                raise UserError(f"{name} is {value}; give a number between 0 and 1")
        if self.pairs < 1:
            raise UserError(f"the budget is {self.pairs} pairs; give 1 or more")

    @property
    def needed(self) -> int:
        """Discordant pairs that FIXED takes: the least K with (1 + ratio)^-K <= alpha."""
        return math.ceil(-math.log(self.alpha) / math.log1p(self.ratio) - 1e-9)


@dataclass(frozen=True)
class Pair:
    """Two runs to make, in this order, both with this workload seed.

    ``index`` counts the pairs of ``path``, from 0.
    """

    path: str
    index: int
    order: tuple[Arm, Arm]
    seed: int


@dataclass(frozen=True)
class Other:
    """Another way in which runs ended; ``title`` distinguishes foreign crashes and failures."""

    outcome: Outcome
    title: str
    before: int
    after: int

    @property
    def name(self) -> str:
        """Outcome and title."""
        return f"{self.outcome} {self.title}".strip()


@dataclass(frozen=True)
class Statement:
    """The verdict on one path and all that it rests on.

    ``p_value`` is 1 once "after" showed the signature. ``rate_bound_after`` and ``ratio_bound``
    are upper bounds at level alpha on the failure rate of "after", and on that rate as a share of
    the rate of "before". ``more_runs`` is the expected number of further runs to FIXED (None:
    unknown, ``more_runs_at_least`` still holds); both count runs of either kernel. ``stress`` is
    the time that both kernels spent in the race phase. ``infra`` is what kept every run so far
    from saying anything, empty otherwise.
    """

    path: str
    verdict: Verdict
    reason: str
    alpha: float
    p_value: float
    before: Rate
    after: Rate
    discordant: int
    needed: int
    rate_bound_after: float
    ratio_bound: float | None
    others: tuple[Other, ...]
    void: int
    more_runs: int | None
    more_runs_at_least: int
    stress: Stress = field(default_factory=Stress)
    infra: str = ""

    @property
    def after_other(self) -> tuple[Other, ...]:
        """What "after" showed more often than "before", beside the signature."""
        return tuple(other for other in self.others if other.after > other.before)

    @property
    def hazard_ratio_bound(self) -> float | None:
        """Bound on the failure rate per second, as a share of "before"'s; constant hazards only."""
        failed = self.verdict is Verdict.NOT_FIXED
        return None if failed else self.stress.hazard_ratio_bound(self.alpha)

    def as_json(self) -> dict[str, Any]:
        """What the JSON documents of ``verify`` and ``ci`` say of one path."""
        bound = self.hazard_ratio_bound
        return {
            "path": self.path,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "alpha": self.alpha,
            "p_value": self.p_value,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "after_other": [
                {**asdict(other), "outcome": str(other.outcome)} for other in self.after_other
            ],
            "rate_bound_after": self.rate_bound_after,
            "ratio_bound": self.ratio_bound,
            "more_runs": self.more_runs,
            "more_runs_at_least": self.more_runs_at_least,
            "void": self.void,
            "stress": {**self.stress.as_json(), "hazard_ratio_bound": bound},
        }
