# SPDX-License-Identifier: GPL-2.0-only
"""Whether a fix holds on one path, from runs of the kernel before and after it made in pairs.

The test is sequential: a pair in which only "before" shows the race's own failure speaks for the
fix, one such failure on "after" ends it. docs/concepts/verdicts.md has the formulas
and what they assume.
"""

import hashlib
import math
from collections import Counter

from mmrace.lazy import Lazy
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.rates import clean_runs, interval, upper_bound
from mmrace.verdicts.sight import Sight, kind, sight
from mmrace.verdicts.stress import Stress
from mmrace.verdicts.verdict import Arm, Other, Pair, Rules, Statement, Verdict

stats = Lazy("scipy.stats")

INFRA_PAIRS = 3  # the host is broken when these are all that there is
INFRA_ROW = 5  # or when it spoils so many one after the other
UNEXERCISED_PAIRS = 3  # each of their runs of "after" had its most time, in vain


class SignTest:
    """Pairs of runs on one path: ask for a pair, make it, record it, until done."""

    def __init__(self, rules: Rules, path: str = "") -> None:
        """Start with no runs."""
        self.rules = rules
        self.path = path
        self.tried = 0
        self._full = 0
        self._discordant = 0
        self._sights: dict[Arm, Counter[Sight]] = {arm: Counter() for arm in Arm}
        self._others: dict[Arm, Counter[tuple[Outcome, str]]] = {arm: Counter() for arm in Arm}
        self._stress = Stress()
        self._infra: list[str] = []  # of each pair that the host spoilt
        self._infra_row = 0  # the last pairs, as many as it spoilt without one between
        self._unexercised: list[str] = []  # of each pair whose run of "after" was not exercised

    def next_pair(self) -> Pair:
        """Return the pair to run now."""
        return self.pair(self.tried)

    def pair(self, index: int) -> Pair:
        """Return a pair by its number; the rules' seed alone gives its order and its seed."""
        digest = hashlib.sha256(f"{self.rules.seed}/{self.path}/{index}".encode()).digest()
        order = (Arm.BEFORE, Arm.AFTER) if digest[0] & 1 else (Arm.AFTER, Arm.BEFORE)
        return Pair(self.path, index, order, int.from_bytes(digest[1:5], "big"))

    def record(self, before: Judgement, after: Judgement) -> None:
        """Add the two runs of the pair that ``next_pair`` gave."""
        self.tried += 1
        sights = {Arm.BEFORE: sight(before), Arm.AFTER: sight(after)}
        for arm, judgement in ((Arm.BEFORE, before), (Arm.AFTER, after)):
            self._sights[arm][sights[arm]] += 1
            if sights[arm] is Sight.OTHER:
                self._others[arm][kind(judgement)] += 1
        self._add_stress(before, sights[Arm.BEFORE], after, sights[Arm.AFTER])
        spoilt = [one for one in (before, after) if one.outcome is Outcome.INFRA]
        self._infra += [spoilt[0].title or "no reason given"] if spoilt else []
        self._infra_row = self._infra_row + 1 if spoilt else 0
        if after.outcome is Outcome.NOT_EXERCISED:
            self._unexercised.append("; ".join(after.notes[:2]) or "no reason given")
        if Sight.VOID not in sights.values():
            self._full += 1
            # Only an exercised pass on "after" is evidence for the fix.
            discordant = (Sight.SIGNATURE, Sight.HELD)
            self._discordant += (sights[Arm.BEFORE], sights[Arm.AFTER]) == discordant

    @property
    def verdict(self) -> Verdict:
        """The verdict as it stands."""
        return self._decide()[0]

    @property
    def done(self) -> bool:
        """Whether the verdict is certain, the budget is spent, or more pairs cannot tell either."""
        broken = bool(self.infra) and self.tried >= INFRA_PAIRS
        broken = broken or self._infra_row >= INFRA_ROW
        spent = self.tried >= self.rules.pairs
        vain = bool(self.unexercised) and self.tried >= UNEXERCISED_PAIRS
        return spent or broken or vain or self.verdict is not Verdict.INCONCLUSIVE or self._worse()

    @property
    def infra(self) -> str:
        """What the host spoilt every pair with; empty when a pair could tell, or none was made."""
        return self._infra[-1] if self._infra and len(self._infra) == self.tried else ""

    @property
    def unexercised(self) -> str:
        """What no run of "after" had enough of; empty when one was exercised, or none was made."""
        every = len(self._unexercised) == self.tried
        return self._unexercised[-1] if self._unexercised and every else ""

    def statement(self) -> Statement:
        """Return the verdict as it stands; valid at any moment, done or not."""
        verdict, reason = self._decide()
        expected, least = self._more() if verdict is Verdict.INCONCLUSIVE else (0, 0)
        failed = self._sights[Arm.AFTER][Sight.SIGNATURE]
        level = self.rules.alpha
        ratio = level ** (-1 / self._discordant) - 1 if self._discordant and not failed else None
        return Statement(
            path=self.path,
            verdict=verdict,
            reason=reason,
            alpha=level,
            p_value=self._p_value(),
            before=interval(*self._telling(Arm.BEFORE)),
            after=interval(*self._telling(Arm.AFTER)),
            discordant=self._discordant,
            needed=self.rules.needed,
            rate_bound_after=self._bound(),
            ratio_bound=ratio,
            others=self._list_others(),
            void=sum(self._sights[arm][Sight.VOID] for arm in Arm),
            more_runs=expected,
            more_runs_at_least=least,
            stress=self._stress,
            infra=self.infra,
        )

    def _decide(self) -> tuple[Verdict, str]:
        if self._sights[Arm.AFTER][Sight.SIGNATURE]:
            return Verdict.NOT_FIXED, "the race's own failure on the kernel after"
        if void := self._why_nothing_counts():
            return Verdict.INCONCLUSIVE, void
        if self._p_value() > self.rules.alpha:
            pairs = f"{self._discordant} of the {self.rules.needed} pairs needed"
            return (
                Verdict.INCONCLUSIVE,
                f"only the kernel before failed in {pairs}{self._what_else()}",
            )
        if worse := [other for other in self._list_others() if other.after > other.before]:
            names = ", ".join(other.name for other in worse)
            return Verdict.INCONCLUSIVE, f"more often on the kernel after: {names}"
        if self.rules.rate < 1 and self._bound() > self.rules.rate:
            return (
                Verdict.INCONCLUSIVE,
                f"the kernel after may still fail in {self._bound():.2g} of runs",
            )
        return Verdict.FIXED, f"only the kernel before failed, in {self._discordant} pairs"

    def _why_nothing_counts(self) -> str:
        """Why no pair so far could tell, "" when one could."""
        if self.infra:
            return f"no pair could tell: INFRA {self.infra}"
        return f"NOT_EXERCISED: the kernel after: {self.unexercised}" if self.unexercised else ""

    def _what_else(self) -> str:
        """What to know of the pairs that did not count."""
        if self._infra_row >= INFRA_ROW:
            return f"; the host spoilt the last {self._infra_row}: INFRA {self._infra[-1]}"
        failed = [one for one in self._list_others() if one.before and one.outcome.failed]
        if self._sights[Arm.BEFORE][Sight.SIGNATURE] or not failed:
            return ""
        names = ", ".join(f"{one.name} ({one.before} times)" for one in failed)
        return f"; its failures do not match the signature: {names}"

    def _add_stress(self, before: Judgement, saw: Sight, after: Judgement, showed: Sight) -> None:
        if showed is Sight.HELD:
            self._stress = self._stress.with_clean(after.stressed)
        if saw is not Sight.VOID:
            self._stress = self._stress.with_before(before.stressed, saw is Sight.SIGNATURE)

    def _bound(self) -> float:
        return upper_bound(*self._telling(Arm.AFTER), self.rules.alpha)

    def _p_value(self) -> float:
        if self._sights[Arm.AFTER][Sight.SIGNATURE]:
            return 1.0
        return float((1 + self.rules.ratio) ** -self._discordant)

    def _telling(self, arm: Arm) -> tuple[int, int]:
        failures = self._sights[arm][Sight.SIGNATURE]
        return failures + self._sights[arm][Sight.HELD], failures

    def _list_others(self) -> tuple[Other, ...]:
        before, after = self._others[Arm.BEFORE], self._others[Arm.AFTER]
        return tuple(Other(*kind, before[kind], after[kind]) for kind in sorted(before | after))

    def _worse(self) -> bool:
        """Whether it is certain that "after" does something else wrong: more runs cannot help."""
        return any(
            other.after > other.before
            and stats.binomtest(
                other.after, other.before + other.after, alternative="greater"
            ).pvalue
            <= self.rules.alpha
            for other in self._list_others()
        )

    def _more(self) -> tuple[int | None, int]:
        """Return the runs that FIXED still takes: expected (None: cannot be said), and at least."""
        missing = max(0, self.rules.needed - self._discordant)
        clean = clean_runs(self.rules.rate, self.rules.alpha) - self._telling(Arm.AFTER)[0]
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
