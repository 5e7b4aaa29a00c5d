# SPDX-License-Identifier: GPL-2.0-only
"""The course of a bisection: learn how often the failing end fails, search, prove.

A pure fold over observations: the same observations in the same order give the same state, so a
log of them is all that a killed bisection needs.
"""

import copy
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from mmrace.bisect.posterior import Belief, Model, Tally, infer
from mmrace.bisect.proof import Claim, Rates
from mmrace.bisect.search import choose
from mmrace.bisect.values import Answer, Phase, Request, Result, Settings, Step
from mmrace.errors import UserError

_VOID = 5


class Bisection:
    """Ask for a request, make the runs, observe each; until there is no request."""

    def __init__(
        self, model: Model, settings: Settings | None = None, ready: Collection[str] = ()
    ) -> None:
        """Start with no runs; to run a revision of ``ready`` costs no build."""
        self.model = model
        self.settings = settings or Settings()
        self.phase = Phase.LEARN
        self.steps: list[Step] = []
        self._tallies: dict[int, Tally] = {}
        self._fresh: dict[int, Tally] = {}
        self._void: dict[int, int] = {}
        self._skipped: set[int] = set()
        self._built: set[int] = set()
        self._ready = {model.dag.rows[name] for name in ready}
        self._pending: Request | None = None
        self._belief: Belief | None = None
        self._target = -1
        self._rates: Rates | None = None
        self._confirmed = False

    @property
    def belief(self) -> Belief:
        """The posterior after all observations."""
        if self._belief is None:
            self._belief = infer(self.model, self._tallies)
        return self._belief

    def request(self) -> Request | None:
        """Return what to run now, None at the end.

        Raises UserError when the failing end cannot be run at all.
        """
        while self._pending is None and self.phase is not Phase.DONE:
            match self.phase:
                case Phase.LEARN:
                    self._learn()
                case Phase.SEARCH:
                    self._search()
                case _:
                    self._prove()
        return self._pending

    def observe(self, revision: str, result: Result, times: int = 1) -> None:
        """Take in runs that showed the same; UserError for a revision the graph does not have.

        More than one at a time are only for a request that asks for as many.
        """
        if revision not in self.model.dag.rows:
            raise UserError(f"{revision} is not between the two ends; remove the log to start anew")
        row = self.model.dag.rows[revision]
        request = self.request()
        self._note(revision, result, times)
        if result is not Result.SKIP:
            self._built.add(row)
        if result in (Result.BAD, Result.GOOD):
            bad = result is Result.BAD
            self._tallies[row] = _add(self._tallies.get(row), bad, times)
            if self.phase is Phase.PROVE:
                self._fresh[row] = _add(self._fresh.get(row), bad, times)
            self._belief = None
        elif result is Result.VOID:
            self._void[row] = self._void.get(row, 0) + times
            # A revision whose runs mostly cannot be judged is not worth its time.
            useless = self._void[row] >= _VOID * (1 + self._tallies.get(row, Tally()).runs)
        if result is Result.SKIP or (result is Result.VOID and useless):
            self._skipped.add(row)
            self._pending = None
        elif request and request.revision == revision:
            left = request.runs - times * (result is not Result.VOID)
            over = left <= 0 or (result is Result.BAD and self.phase is not Phase.LEARN)
            self._pending = None if over else replace(request, runs=left)

    def following(self) -> tuple[str, ...]:
        """Return what may be asked for after the present revision: should it fail, or hold."""
        found = []
        for result in (Result.BAD, Result.GOOD):
            other = self._copy()
            with suppress(UserError):
                now = other.request()
                if now:
                    other.observe(now.revision, result, now.runs)
                after = other.request()
                if now and after and after.revision != now.revision:
                    found.append(after.revision)
        return tuple(dict.fromkeys(found))

    def _copy(self) -> "Bisection":
        other = copy.copy(self)
        other.steps = [*self.steps]
        for name in ("_tallies", "_fresh", "_void", "_skipped", "_built"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def answer(self) -> Answer:
        """Return the answer so far; valid at any moment."""
        belief, size = self.belief, self.model.dag.size
        nobody = float(belief.culprit[size:].sum())
        sure = belief.best < size and belief.culprit[belief.best] >= 1 - self.settings.delta
        return Answer(
            culprit=self.model.dag.names[belief.best] if sure else None,
            posterior=float(belief.culprit[:size].max()),
            no_culprit=nobody,
            confirmed=self._confirmed,
            done=self.phase is Phase.DONE,
            suspects=self._suspects(belief),
            steps=tuple(self.steps),
            runs={
                phase: sum(step.runs + step.void for step in self.steps if step.phase is phase)
                for phase in (Phase.LEARN, Phase.SEARCH, Phase.PROVE)
            },
            builds=len(self._built),
        )

    def _learn(self) -> None:
        end = self.model.failing_end
        if end in self._skipped:
            raise UserError(f"{self.model.dag.names[end]} cannot be run; name another failing end")
        tally = self._tallies.get(end, Tally())
        left = self.settings.learn_runs - tally.runs
        if left <= 0 and not tally.failures:
            self.phase = Phase.DONE
        elif tally.failures >= self.settings.learn_failures or left <= 0:
            self.phase = Phase.SEARCH
        else:
            missing = self.settings.learn_failures - tally.failures
            self._ask(end, min(left, missing))

    def _search(self) -> None:
        best = self.belief.best
        provable = all(claim.row not in self._skipped for claim in self._claims(best))
        bar = self.settings.suspicion if provable else 1 - self.settings.delta
        if self.belief.culprit[best] >= bar:
            self.phase, self._target, self._fresh = Phase.PROVE, best, {}
            given = self.belief.q_given[best], self.belief.e_given[best]
            self._rates = Rates(self.model, *given, self.settings.delta / 2)
            return
        costs = self.settings.costs
        choice = choose(self.model, self.belief, costs, self._built | self._ready, self._skipped)
        if choice is None:
            self.phase = Phase.DONE
        else:
            self._ask(choice.row, choice.runs)

    def _prove(self) -> None:
        assert self._rates is not None  # noqa: S101
        # The proofs ask for more than the search did: a setback alone does not end them.
        if (
            self.belief.best != self._target
            or self.belief.culprit[self._target] < self.settings.drop
        ):
            self.phase = Phase.SEARCH
            return
        for claim in self._claims(self._target):
            missing = self._rates.missing(claim, self._fresh.get(claim.row, Tally()))
            if not missing:
                continue
            if claim.row in self._skipped:
                self.phase = Phase.SEARCH if self._sure() is None else Phase.DONE
                return
            # A failure is waited for, as long as the rate learnt makes one likely.
            rate = float(self.belief.failure_rate @ self.model.q)
            self._ask(claim.row, max(1, round(3 / rate)) if claim.bad else missing)
            return
        self._confirmed = self._sure() == self._target
        self.phase = Phase.DONE if self._confirmed else Phase.SEARCH

    def _claims(self, target: int) -> list[Claim]:
        model = self.model
        if target == model.always:
            return [Claim(model.dag.newer_end if model.fix else model.dag.older_end, True)]
        if target == model.never:
            return [Claim(model.failing_end, False)]
        parents = [Claim(row, model.fix) for row in model.dag.parents[target]]
        return [Claim(target, not model.fix), *parents]

    def _sure(self) -> int | None:
        best = self.belief.best
        return best if self.belief.culprit[best] >= 1 - self.settings.delta else None

    def _ask(self, row: int, runs: int) -> None:
        self._pending = Request(self.model.dag.names[row], runs, self.phase)

    def _note(self, revision: str, result: Result, times: int) -> None:
        last = self.steps[-1] if self.steps else None
        if last is None or (last.revision, last.phase) != (revision, self.phase) or last.skipped:
            last = Step(revision, self.phase)
            self.steps.append(last)
        self.steps[-1] = replace(
            last,
            runs=last.runs + times * (result in (Result.BAD, Result.GOOD)),
            failures=last.failures + times * (result is Result.BAD),
            void=last.void + times * (result is Result.VOID),
            skipped=result is Result.SKIP,
        )

    def _suspects(self, belief: Belief) -> tuple[tuple[str, float], ...]:
        found, total = [], 0.0
        for row in (-belief.culprit[: self.model.dag.size]).argsort():
            found.append((self.model.dag.names[row], float(belief.culprit[row])))
            total += found[-1][1]
            if total >= 1 - self.settings.delta or len(found) >= 20:
                break
        return tuple(found)


def _add(tally: Tally | None, bad: bool, times: int) -> Tally:
    tally = tally or Tally()
    return Tally(tally.runs + times, tally.failures + times * bad)
