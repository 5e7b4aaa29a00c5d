# SPDX-License-Identifier: GPL-2.0-only
"""Whether a fix holds, from runs of the kernel before and after it made in pairs.

The test is sequential: a pair in which only "before" shows the race's own failure speaks for the
fix, one such failure on "after" ends it. docs/verdicts.md has the formulas and what they assume.
"""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from scipy.stats import binomtest

from mmrace.errors import UserError
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.rates import Rate, clean_runs, interval, upper_bound
from mmrace.verdicts.sight import Sight, kind, sight


class Verdict(StrEnum):
    """The answer; the words are those of the command line and of the JSON."""

    FIXED = "FIXED"
    NOT_FIXED = "NOT_FIXED"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this verdict."""
        return {"FIXED": 0, "NOT_FIXED": 1, "INCONCLUSIVE": 3}[self.value]


class Side(StrEnum):
    """Which of the two kernels."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Rules:
    """What FIXED takes, and how much may be spent on it.

    ``alpha`` bounds the chance of FIXED for a kernel that fails as often as "before", or at least
    ``ratio`` times as often. ``rate`` is the highest failure rate of "after" that FIXED may leave
    open (1: any). ``pairs`` is the budget, spent by void pairs too. ``seed`` gives the order of the
    runs and their own seeds.
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
                raise UserError(f"{name} is {value}, it must lie between 0 and 1")
        if self.pairs < 1:
            raise UserError(f"the budget is {self.pairs} pairs, it must be 1 at least")

    @property
    def needed(self) -> int:
        """Discordant pairs that FIXED takes: the least K with (1 + ratio)^-K <= alpha."""
        return math.ceil(-math.log(self.alpha) / math.log1p(self.ratio) - 1e-9)


@dataclass(frozen=True)
class Pair:
    """Two runs to make, in this order, both with this workload seed."""

    index: int
    order: tuple[Side, Side]
    seed: int


@dataclass(frozen=True)
class Other:
    """Another way in which runs ended; ``title`` tells foreign crashes and failures apart."""

    outcome: Outcome
    title: str
    before: int
    after: int


@dataclass(frozen=True)
class Statement:
    """A verdict and all that it rests on.

    ``p_value`` is 1 once "after" showed the signature. ``rate_bound_after`` and ``ratio_bound``
    are upper bounds at level alpha on the failure rate of "after", and on that rate as a share of
    the rate of "before". ``more_runs`` is the expected number of further runs to FIXED (None:
    unknown, ``more_runs_at_least`` still holds); both count runs of either kernel.
    """

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

    @property
    def after_other(self) -> tuple[Other, ...]:
        """What "after" showed more often than "before", beside the signature."""
        return tuple(other for other in self.others if other.after > other.before)


class Campaign:
    """The runs of one ``verify``: ask for a pair, make it, record it, until done."""

    def __init__(self, rules: Rules) -> None:
        """Start with no runs."""
        self.rules = rules
        self.tried = 0
        self._full = 0
        self._discordant = 0
        self._sights: dict[Side, Counter[Sight]] = {side: Counter() for side in Side}
        self._others: dict[Side, Counter[tuple[Outcome, str]]] = {side: Counter() for side in Side}

    def next_pair(self) -> Pair:
        """Return the pair to run now; the same for the same seed and number of pairs recorded."""
        digest = hashlib.sha256(f"{self.rules.seed}/{self.tried}".encode()).digest()
        order = (Side.BEFORE, Side.AFTER) if digest[0] & 1 else (Side.AFTER, Side.BEFORE)
        return Pair(self.tried, order, int.from_bytes(digest[1:5], "big"))

    def record(self, before: Judgement, after: Judgement) -> None:
        """Add the two runs of the pair that ``next_pair`` gave."""
        self.tried += 1
        sights = {Side.BEFORE: sight(before), Side.AFTER: sight(after)}
        for side, judgement in ((Side.BEFORE, before), (Side.AFTER, after)):
            self._sights[side][sights[side]] += 1
            if sights[side] is Sight.OTHER:
                self._others[side][kind(judgement)] += 1
        if Sight.VOID not in sights.values():
            self._full += 1
            # Only an exercised pass on "after" is evidence for the fix.
            wanted = (Sight.SIGNATURE, Sight.HELD)
            self._discordant += (sights[Side.BEFORE], sights[Side.AFTER]) == wanted

    @property
    def done(self) -> bool:
        """Whether the verdict is certain or the budget is spent."""
        verdict, _ = self._decide()
        return (
            verdict is not Verdict.INCONCLUSIVE or self.tried >= self.rules.pairs or self._worse()
        )

    def statement(self) -> Statement:
        """Return the verdict as it stands; valid at any moment, done or not."""
        verdict, reason = self._decide()
        expected, least = self._more() if verdict is Verdict.INCONCLUSIVE else (0, 0)
        failed = self._sights[Side.AFTER][Sight.SIGNATURE]
        level = self.rules.alpha
        ratio = level ** (-1 / self._discordant) - 1 if self._discordant and not failed else None
        return Statement(
            verdict=verdict,
            reason=reason,
            alpha=level,
            p_value=self._p_value(),
            before=interval(*self._telling(Side.BEFORE)),
            after=interval(*self._telling(Side.AFTER)),
            discordant=self._discordant,
            needed=self.rules.needed,
            rate_bound_after=self._bound(),
            ratio_bound=ratio,
            others=self._list_others(),
            void=sum(self._sights[side][Sight.VOID] for side in Side),
            more_runs=expected,
            more_runs_at_least=least,
        )

    def _decide(self) -> tuple[Verdict, str]:
        if self._sights[Side.AFTER][Sight.SIGNATURE]:
            return Verdict.NOT_FIXED, "the race's own failure on the kernel after"
        if self._p_value() > self.rules.alpha:
            have = (
                f"{self._discordant} of {self.rules.needed} pairs that only the kernel before fails"
            )
            return Verdict.INCONCLUSIVE, have
        if worse := [other for other in self._list_others() if other.after > other.before]:
            names = ", ".join(f"{other.outcome} {other.title}".strip() for other in worse)
            return Verdict.INCONCLUSIVE, f"more often on the kernel after: {names}"
        if self._bound() > self.rules.rate:
            return (
                Verdict.INCONCLUSIVE,
                f"the kernel after may still fail in {self._bound():.2g} of runs",
            )
        return Verdict.FIXED, f"{self._discordant} pairs that only the kernel before fails"

    def _bound(self) -> float:
        return upper_bound(*self._telling(Side.AFTER), self.rules.alpha)

    def _p_value(self) -> float:
        if self._sights[Side.AFTER][Sight.SIGNATURE]:
            return 1.0
        return float((1 + self.rules.ratio) ** -self._discordant)

    def _telling(self, side: Side) -> tuple[int, int]:
        failures = self._sights[side][Sight.SIGNATURE]
        return failures + self._sights[side][Sight.HELD], failures

    def _list_others(self) -> tuple[Other, ...]:
        before, after = self._others[Side.BEFORE], self._others[Side.AFTER]
        return tuple(Other(*kind, before[kind], after[kind]) for kind in sorted(before | after))

    def _worse(self) -> bool:
        """Whether it is certain that "after" does something else wrong: more runs cannot help."""
        return any(
            binomtest(other.after, other.before + other.after, alternative="greater").pvalue
            <= self.rules.alpha
            for other in self._list_others()
        )

    def _more(self) -> tuple[int | None, int]:
        """Return the runs that FIXED still takes: expected (None: cannot be said), and at least."""
        missing = max(0, self.rules.needed - self._discordant)
        clean = clean_runs(self.rules.rate, self.rules.alpha) - self._telling(Side.AFTER)[0]
        least = max(1, missing, clean)
        share = interval(self._full, self._discordant)
        if missing:
            least = max(least, math.ceil(missing / share.high))
        if any(other.after > other.before for other in self._list_others()):
            return None, 2 * least
        if not missing:
            return 2 * least, 2 * least
        if not self._discordant:
            return None, 2 * least
        return 2 * max(least, math.ceil(missing * self._full / self._discordant)), 2 * least
