# SPDX-License-Identifier: GPL-2.0-only
"""Bisection of kernels: commits of a history, or patches of a series."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmrace.bisect import revisions
from mmrace.bisect.case import Case, case_key, subjects
from mmrace.bisect.dag import Dag
from mmrace.bisect.engine import Bisection
from mmrace.bisect.loop import drive
from mmrace.bisect.posterior import Model
from mmrace.bisect.search import Costs
from mmrace.bisect.subset import enough, prefixes, subset_of
from mmrace.bisect.values import Answer, Phase, Request, Result, Settings
from mmrace.building.request import built_among
from mmrace.definitions.base import Base, base_for
from mmrace.errors import UserError
from mmrace.executors.executor import Runs
from mmrace.experiments.revision import KernelProbe
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work
from mmrace.patching.series import Series, resolve_series
from mmrace.runs import kernels
from mmrace.runs.kernels import Built, find_source
from mmrace.runs.record import RunDir
from mmrace.verdicts.rates import interval


@dataclass(frozen=True)
class Limits:
    """Wanted probability of the answer, maximum number of runs, and the log (None: the home's)."""

    delta: float
    most: int
    log: Path | None = None


@dataclass(frozen=True)
class Bisected:
    """A bisection so far: its answer, its log, and the runs of this invocation."""

    case: Case
    settings: Settings
    answer: Answer
    log: Path
    runs: tuple[RunDir, ...] = ()


@dataclass(frozen=True)
class Needed:
    """Numbers (from 0) of the patches that suffice; None: a round ended without an answer."""

    patches: tuple[int, ...] | None
    subjects: tuple[str, ...]
    rounds: tuple[Bisected, ...]


class KernelCases:
    """Makes bisection cases of kernels; ``work`` is the run that decides about each revision."""

    def __init__(self, session: Session, work: Work, costs: Costs) -> None:
        self._session = session
        self._work = work
        self._costs = costs

    @property
    def _race(self) -> str:
        return self._work.race.name

    def commits(self, repo: Path, good: str, bad: str) -> Case:
        """The commits between two commits of a kernel's repository, either of them the older."""
        if not repo.is_dir():
            raise UserError(f"not a git repository: {repo}; other trees take --series")
        repo = repo.absolute()
        older, newer, fix = revisions.order(repo, good, bad)
        found = revisions.between(repo, older, newer)
        with self._session.step(f"tree {repo}@{newer}") as tell:
            version = find_source(self._session.home, f"{repo}@{newer}", tell).version
        base = base_for(version)
        weights = revisions.weigh(found, self._likely(base))
        model = Model(revisions.graph(found, older), weights=weights, fix=fix)
        probe = self._probe(lambda revision: self._build(f"{repo}@{revision}", ()))
        name = case_key(self._race, *self._about(), repo, older, newer, fix)
        return Case(name, model, probe, self._costs, subjects(found), self._ready(found, base))

    def patches(self, tree: str, before: Sequence[str], series: str, *, fix: bool) -> Case:
        """The patches of a series, each on top of its predecessors."""
        found = self.read(tree, series)
        line = prefixes((), tuple(range(len(found.patches))))
        return self.subsets(tree, before, found, line, fix=fix)

    def subsets(
        self, tree: str, before: Sequence[str], series: Series, line: Dag, *, fix: bool
    ) -> Case:
        """A line of growing subsets of a series' patches, on a tree with other series beneath."""

        def build(name: str) -> Built:
            numbers = ",".join(str(number + 1) for number in subset_of(name))
            return self._build(tree, (*before, f"{series.name}[{numbers}]"))

        titles = [patch.subject for patch in series.patches]
        named = {name: titles[_added(line, name)] for name in line.names[: line.size]}
        key = case_key(self._race, *self._about(), tree, *before, series.name, fix, *line.names)
        return Case(key, Model(line, fix=fix), self._probe(build), self._costs, named)

    def read(self, tree: str, series: str) -> Series:
        """Read the series that is bisected; UserError when it has no patch."""
        session = self._session
        base = base_for(find_source(session.home, tree, session.note).version)
        found = session.intake.resolve(session.home, [series], base)[0]
        if not found.patches:
            raise UserError(f"{series} has no patch for {tree}; name a series that has one")
        return found

    def _about(self) -> tuple[object, ...]:
        return self._work.key()[1:]

    def _build(self, tree: str, series: tuple[str, ...]) -> Built:
        return self._session.build(tree, series, self._work.options, self._work.race)

    def _probe(self, build: Callable[[str], Built]) -> KernelProbe:
        session, work = self._session, self._work

        def make(built: Built, seed: int) -> "Future[Runs]":
            planner = session.planner
            return session.executor.submit(lambda: (work.plan(planner, built, seed),))

        return KernelProbe(build, make, session.note, lambda: session.executor.slots)

    def _ready(self, found: Sequence[revisions.Commit], base: Base) -> tuple[str, ...]:
        """Revisions whose kernels are in the home, built by any bisection."""
        trees = [one.tree for one in found]
        fragments = (*kernels.fragments(), *self._work.race.own_config)
        there = built_among(
            self._session.home, trees, base, (*fragments, *self._work.options.kernel_configs)
        )
        return tuple(one.id for one in found if one.tree in there)

    def _likely(self, base: Base) -> tuple[str, ...]:
        """Directories of the files that the race's own patches change."""
        try:
            patches = resolve_series(f"fixes/{self._race}", base).patches
        except UserError:
            return ()
        folders = {str(PurePosixPath(file).parent) for one in patches for file in one.files}
        return tuple(sorted(f"{folder}/" for folder in folders if folder != "."))


def bisect(session: Session, case: Case, limits: Limits, learn_runs: int | None = None) -> Bisected:
    """Run one bisection, from its first run or from where its log ends.

    ``learn_runs``: number of runs of the failing end without a failure after which it counts as
    good.
    """
    settings = Settings(delta=limits.delta, costs=case.costs)
    if learn_runs is not None:
        settings = Settings(delta=limits.delta, costs=case.costs, learn_runs=learn_runs)
    log = limits.log or session.home.bisections / case.name / "log"
    bisection = Bisection(case.model, settings, case.ready)
    if isinstance(case.probe, KernelProbe) and session.builder:
        case.probe.following = bisection.following
    if log.exists():
        session.note(f"going on from {log}")

    def tell(now: Bisection, request: Request, _result: Result) -> None:
        after = now.request()
        if after and (after.revision, after.phase) == (request.revision, request.phase):
            return
        session.note(_progress(case, now))

    answer = drive(bisection, case.probe, log, tell=tell, most=limits.most)
    made = case.probe.runs if isinstance(case.probe, KernelProbe) else []
    return Bisected(case, settings, answer, log, tuple(run for _, run in made))


def _progress(case: Case, now: Bisection) -> str:
    step, where = now.steps[-1], now.answer()
    result = "skipped" if step.skipped else f"{step.failures} of {step.runs} failed"
    result += f", {step.void} not exercised" if step.void else ""
    best, posterior = where.suspects[0]
    return (
        f"{step.phase} {case.title(step.revision)}: {result}; likeliest {case.title(best)} "
        f"{posterior:.3f}, no culprit {where.no_culprit:.3f}"
    )


def bisect_subsets(
    session: Session,
    cases: KernelCases,
    tree: str,
    before: Sequence[str],
    series: str,
    limits: Limits,
) -> Needed:
    """Find which patches of a series suffice, by one fix bisection after another.

    A later round runs the failing end often enough to see the failure rate that the first round
    measured, so that a run without a failure means something.
    """
    found = cases.read(tree, series)
    titles = tuple(patch.subject for patch in found.patches)
    rounds: list[Bisected] = []

    def bisect_line(line: Dag) -> Answer:
        case = cases.subsets(tree, before, found, line, fix=True)
        runs = _learn_runs(rounds[0].answer, limits.delta) if rounds else None
        rounds.append(bisect(session, case, limits, runs))
        return rounds[-1].answer

    return Needed(enough(len(titles), bisect_line), titles, tuple(rounds))


def _learn_runs(first: Answer, delta: float) -> int:
    learnt = [step for step in first.steps if step.phase is Phase.LEARN]
    rate = interval(sum(s.runs for s in learnt), sum(s.failures for s in learnt))
    return math.ceil(math.log(1 / delta) / max(rate.low, 0.001))


def _added(line: Dag, name: str) -> int:
    """Number of the patch that a subset has beyond its predecessor in the line."""
    row = line.rows[name]
    before = subset_of(line.names[line.parents[row][0]])
    return next(iter(set(subset_of(name)) - set(before)))
