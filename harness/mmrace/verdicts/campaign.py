# SPDX-License-Identifier: GPL-2.0-only
"""All runs that decide one verdict: pairs on every path of a race, interleaved.

FIXED claims that the fix holds on every path. The claim is an intersection, so each path is tested
at alpha itself, without a correction: if one path is not fixed, the campaign says FIXED only when
that path's own test errs (Berger, Technometrics 24, 1982).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrace.outcome import Judgement
from mmrace.verdicts.exclusion import exclusions
from mmrace.verdicts.signtest import INFRA_PAIRS, SignTest
from mmrace.verdicts.verdict import Pair, Rules, Statement, Verdict


@dataclass(frozen=True)
class Combined:
    """The verdict of a campaign, with the statement on each path, in the order of the paths.

    ``undecided``: paths of the race that the campaign leaves out.
    """

    verdict: Verdict
    reason: str
    paths: tuple[Statement, ...]
    undecided: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The verdict in one line, with the paths that it is about where they are not all."""
        if not self.undecided:
            return f"{self.verdict}: {self.reason}"
        named = " and ".join(one.path for one in self.paths)
        return f"{self.verdict} on {named} alone: {self.reason}; not run: {_list(self.undecided)}"

    @property
    def weakest(self) -> Statement:
        """The path that is furthest from FIXED."""
        order = (Verdict.NOT_FIXED, Verdict.INCONCLUSIVE, Verdict.FIXED)
        return min(self.paths, key=lambda one: (order.index(one.verdict), -one.p_value))

    @property
    def infra(self) -> bool:
        """Whether the host spoilt every run, so that nothing is known."""
        spoilt = [one for one in self.paths if one.infra]
        decided = [one for one in self.paths if one.before.runs + one.after.runs and not one.infra]
        return bool(spoilt) and not decided

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this verdict."""
        return 69 if self.infra else self.verdict.exit_code

    def as_json(self) -> dict[str, Any]:
        """What the documents say: the numbers of the weakest path, and ``paths`` with all."""
        expected = [one.more_runs for one in self.paths]
        known = [runs for runs in expected if runs is not None]
        return {
            **self.weakest.as_json(),
            "verdict": str(self.verdict),
            "reason": self.reason,
            "more_runs": sum(known) if len(known) == len(expected) else None,
            "more_runs_at_least": sum(one.more_runs_at_least for one in self.paths),
            "void": sum(one.void for one in self.paths),
            "paths": [{**one.as_json(), "excludes": list(exclusions(one))} for one in self.paths],
            "paths_not_run": list(self.undecided),
        }


class Campaign:
    """Pairs over several paths. To drive it::

        campaign = Campaign(rules, ["missing", "minor"])
        while not campaign.done:
            pair = campaign.next_pair()     # .path, .index (of that path), .order, .seed
            made = {arm: run(pair.path, arm, pair.seed) for arm in pair.order}
            campaign.record(pair.path, made[Arm.BEFORE], made[Arm.AFTER])   # Judgements
            campaign.statement()            # a Combined, valid at any moment

    ``next_pair`` depends on the rules and on what was recorded alone, so a campaign that was
    killed is resumed by recording the runs that it finds at (path, index, arm), without running
    them. Runs that ended INFRA are left out then, and made again.
    """

    def __init__(self, rules: Rules, paths: Sequence[str], undecided: Sequence[str] = ()) -> None:
        """Start with no runs; ``undecided`` are paths of the race that are left out."""
        self.rules = rules
        self._tests = {path: SignTest(rules, path) for path in paths}
        self._undecided = tuple(undecided)

    def next_pair(self, drawn: Sequence[Pair] = ()) -> Pair | None:
        """Return the pair to run now: of the path that has had the fewest, unless it is decided.

        ``drawn``: pairs that are under way, which have to be recorded before this one. None when
        these spend the budget.
        """
        ahead = Counter(pair.path for pair in drawn)
        open_tests = [
            test
            for test in self._tests.values()
            if not test.done and test.tried + ahead[test.path] < self.rules.pairs
        ]
        if not open_tests:
            return None
        test = min(open_tests, key=lambda test: test.tried + ahead[test.path])
        return test.pair(test.tried + ahead[test.path])

    def record(self, path: str, before: Judgement, after: Judgement) -> None:
        """Add the two runs of the pair that ``next_pair`` gave."""
        self._tests[path].record(before, after)

    @property
    def tried(self) -> int:
        """Pairs recorded, of all paths."""
        return sum(test.tried for test in self._tests.values())

    @property
    def done(self) -> bool:
        """Whether the verdict is certain, the budget is spent, or the host is broken."""
        tests = self._tests.values()
        failed = any(test.verdict is Verdict.NOT_FIXED for test in tests)
        return failed or all(test.done for test in tests) or self._broken

    @property
    def _broken(self) -> bool:
        """Whether the host spoilt every pair so far, and there were enough of them."""
        return self.tried >= INFRA_PAIRS and all(
            test.infra for test in self._tests.values() if test.tried
        )

    def statement(self) -> Combined:
        """Return the verdict as it stands; valid at any moment, done or not."""
        paths = tuple(test.statement() for test in self._tests.values())
        verdict, reason = _combine(paths)
        return Combined(verdict, reason, paths, self._undecided)


def _combine(paths: Sequence[Statement]) -> tuple[Verdict, str]:
    alone = len(paths) == 1

    def reason_of(one: Statement) -> str:
        return one.reason if alone else f"path {one.path}: {one.reason}"

    failed = [one for one in paths if one.verdict is Verdict.NOT_FIXED]
    if failed:
        return Verdict.NOT_FIXED, "; ".join(map(reason_of, failed))
    opened = [one for one in paths if one.verdict is Verdict.INCONCLUSIVE]
    if opened:
        return Verdict.INCONCLUSIVE, "; ".join(map(reason_of, opened))
    if alone:
        return Verdict.FIXED, paths[0].reason
    least = min(one.discordant for one in paths)
    return Verdict.FIXED, (
        f"only the kernel before failed, in {least} or more pairs "
        f"on each of {len(paths)} paths ({_list([one.path for one in paths])})"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
