# SPDX-License-Identifier: GPL-2.0-only
"""Whether a fix holds: pairs of runs on all paths of a race, until the verdict is reached.

All commands that need a verdict use this loop. It can be resumed: each run records its place in the
campaign, so the same command finds the runs that an earlier process finished.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from mmrace.definitions.race import Race
from mmrace.definitions.witness import Witness
from mmrace.executors.executor import Group, Plan, in_order
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work, witnessed
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.runs.slots import Slots, campaign_key, campaign_slots
from mmrace.verdicts.campaign import Campaign, Combined
from mmrace.verdicts.verdict import Arm, Pair, Rules

Arms = Mapping[Arm, Built]
Works = Mapping[str, Work]  # by path


@dataclass(frozen=True)
class PairRuns:
    """One finished pair, and the run of each arm."""

    pair: Pair
    runs: Mapping[Arm, RunDir]


@dataclass(frozen=True)
class Verified:
    """The state of a campaign; ``seconds``: wall time of its runs, without builds."""

    statement: Combined
    pairs: tuple[PairRuns, ...]
    seconds: float

    @property
    def runs(self) -> tuple[tuple[Arm, RunDir], ...]:
        """All runs with their arms, in the order in which they were made."""
        return tuple((arm, one.runs[arm]) for one in self.pairs for arm in one.pair.order)

    def document(self, race: str) -> dict[str, Any]:
        """The JSON document."""
        return {
            "race": race,
            **self.statement.as_json(),
            "seconds_total": round(self.seconds, 1),
            "runs": [
                {"side": str(arm), "path": one.pair.path, **one.runs[arm].as_json()}
                for one in self.pairs
                for arm in one.pair.order
            ],
        }


def works_of(
    race: Race,
    options: RunOptions,
    release: str,
    workload: str | None = None,
    witness: Witness | None = None,
) -> tuple[dict[str, Work], tuple[str, ...]]:
    """Return the run that decides each path on a kernel of this release, and the paths left out.

    A workload or a witness restricts this to its own path. Raises UserError for a workload that the
    race does not have, or a witness of another race.
    """
    narrowed = witnessed(race, witness) if witness else workload
    paths = race.paths(release, narrowed)
    works = {
        name: Work.choose(race, options, release, chosen.name, witness)
        for name, chosen in paths.decided.items()
    }
    return works, paths.left_out


class Verification:
    """Makes the pairs of one campaign; use as a context manager and call ``step`` or ``run``."""

    def __init__(
        self,
        session: Session,
        arms: Arms,
        works: Works,
        rules: Rules,
        undecided: tuple[str, ...] = (),
        ahead: int = 0,
    ) -> None:
        """``ahead``: pairs under way at a time; 0: as many as the executor has slots."""
        self.pairs: list[PairRuns] = []
        self._session = session
        self._arms = arms
        self._works = works
        self._campaign = Campaign(rules, tuple(works), undecided)
        self._ahead = ahead
        self._seconds = 0.0
        self._slots: Slots | None = None
        self._stack = self._open()

    def __enter__(self) -> "Verification":
        self._slots = self._stack.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(None, None, None)

    @property
    def done(self) -> bool:
        """Whether the verdict is reached, the budget is spent, or the host keeps failing."""
        return self._campaign.done

    def statement(self) -> Combined:
        """Return the current verdict."""
        return self._campaign.statement()

    def result(self) -> Verified:
        """Return the current state of the campaign."""
        return Verified(self.statement(), tuple(self.pairs), self._seconds)

    def undecided(self, why: str) -> Verified:
        """Return the result of a campaign that cannot begin: INCONCLUSIVE, because of ``why``."""
        if self._slots:
            self._session.after_answer(self._slots.end)
        return replace(self.result(), statement=replace(self.statement(), reason=why))

    def run(self, tell: Callable[[Pair, Combined], None] = lambda *_: None) -> Verified:
        """Make pairs until the campaign is done; call ``tell`` after each.

        Pairs are recorded in the order in which they were drawn, not in which they end: an order
        that depends on the results would bias a sequential test.
        """
        begun = time.monotonic()
        for one in self._make_pairs():
            self._record(one)
            tell(one.pair, self.statement())
            self._seconds = time.monotonic() - begun
        if self._slots:
            self._session.after_answer(self._slots.end)
        return self.result()

    def step(self, pairs: int = 1) -> None:
        """Make up to ``pairs`` further pairs, concurrently where there are slots."""
        begun = time.monotonic()
        for one in self._make_pairs(most=pairs):
            self._record(one)
        self._seconds += time.monotonic() - begun
        if self.done and self._slots:
            self._session.after_answer(self._slots.end)

    def _record(self, one: PairRuns) -> None:
        self.pairs.append(one)
        before, after = (one.runs[arm].judgement() for arm in (Arm.BEFORE, Arm.AFTER))
        self._campaign.record(one.pair.path, before, after)

    def _make_pairs(self, most: int = 0) -> Iterator[PairRuns]:
        drawn: deque[tuple[Pair, dict[Arm, RunDir]]] = deque()

        def plans() -> Iterator[Plan]:
            made = 0
            while not self.done and (not most or made < most):
                pair = self._campaign.next_pair([one for one, _ in drawn])
                if pair is None:
                    return
                made += 1
                drawn.append((pair, self._find_runs(pair)))
                yield partial(self._plan, *drawn[-1])

        for runs in in_order(self._session.executor, plans(), self._ahead):
            pair, there = drawn.popleft()
            missing = [arm for arm in pair.order if arm not in there]
            yield PairRuns(pair, {**there, **dict(zip(missing, runs, strict=True))})
            if self.done:
                return

    def _plan(self, pair: Pair, there: Mapping[Arm, RunDir]) -> Group:
        work, planner = self._works[pair.path], self._session.planner
        return tuple(
            work.plan(planner, self._arms[arm], pair.seed, self._slot(pair, arm))
            for arm in pair.order
            if arm not in there
        )

    def _slot(self, pair: Pair, arm: Arm) -> str:
        return self._slots.slot(_place(pair, arm)) if self._slots else ""

    def _find_runs(self, pair: Pair) -> dict[Arm, RunDir]:
        """Runs that an earlier process made for this pair.

        Both arms of a pair have to be run on one kind of host. So a worker's run is not used if its
        partner is missing or was made on another kind of host; the pair is then made again.
        """
        if not self._slots:
            return {}
        found = {arm: self._slots.find(_place(pair, arm)) for arm in pair.order}
        there = {arm: run for arm, run in found.items() if run}
        hosts = [run.host() for run in there.values()]
        kinds = {host.kind if host else None for host in hosts}
        return {} if len(kinds) > 1 or (len(there) == 1 and any(hosts)) else there

    @contextmanager
    def _open(self) -> Iterator[Slots]:
        ids = [self._arms[arm].kernel.id for arm in Arm]
        works = {path: work.key() for path, work in self._works.items()}
        key = campaign_key(ids, asdict(self._campaign.rules), works)
        with campaign_slots(self._session.home, key, self._session.note) as slots:
            if slots.runs:
                self._session.note(f"resuming this campaign: {len(slots.runs)} runs are made")
            yield slots


def _place(pair: Pair, arm: Arm) -> str:
    return f"{pair.path}-{pair.index}-{arm}"


def pick_race(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    options: RunOptions,
) -> Race:
    """Return the race that the series concerns most; note the other races that it concerns.

    Raises UserError when it concerns none.
    """
    arms = session.arms(tree, before, after, options)
    first, *others = session.races_about(*(arms[arm].applied.commit for arm in Arm))
    if others:
        names = ", ".join(race.name for race in others)
        session.note(f"taking {first.name}; also with --race: {names}")
    return first
