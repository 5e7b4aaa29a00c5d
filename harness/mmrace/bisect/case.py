# SPDX-License-Identifier: GPL-2.0-only
"""What can be bisected: a repository and a command, kernels of a history, patches of a series."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mmrace.bisect import revisions
from mmrace.bisect.dag import Dag
from mmrace.bisect.loop import Probe, command_probe
from mmrace.bisect.posterior import Model
from mmrace.bisect.probe import KernelProbe
from mmrace.bisect.search import Costs
from mmrace.bisect.subset import subset_of
from mmrace.building.kernel import built_among
from mmrace.definitions.base import Base, base_for
from mmrace.definitions.race import load_race
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.patching.intake import Intake
from mmrace.patching.series import Series, resolve_series
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Step
from mmrace.runs.trial import Maker
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import find_tree


@dataclass(frozen=True)
class Case:
    """One bisection before its first run.

    ``name`` is the same for the same question, ``titles`` is what people call a revision,
    ``ready`` are revisions that are built already.
    """

    name: str
    model: Model
    probe: Probe
    costs: Costs
    titles: dict[str, str] = field(default_factory=dict)
    ready: tuple[str, ...] = ()

    def title(self, revision: str) -> str:
        """A revision as people read it."""
        return f"{short(revision)} {self.titles.get(revision, '')}".strip()


@dataclass(frozen=True)
class Commands:
    """Bisects any repository by the exit code of a command; ``deadline`` in seconds is for one."""

    home: Home
    argv: tuple[str, ...]
    deadline: float
    costs: Costs

    def commits(self, repo: Path, good: str, bad: str) -> Case:
        """The commits between two, either of which may be the older one."""
        repo = repo.absolute()
        older, newer, fix = revisions.order(repo, good, bad)
        name = _key("command", repo, older, newer, fix, *self.argv)
        clone = revisions.share(repo, self.home.bisections / name / "clone")
        found = revisions.between(repo, older, newer)
        model = Model(revisions.graph(found, older), weights=revisions.weigh(found), fix=fix)
        probe = command_probe(clone, self.argv, self.deadline)
        return Case(name, model, probe, self.costs, _subjects(found))


@dataclass(frozen=True)
class Kernels:
    """Bisects kernels by one race; ``about`` is what else the question depends on."""

    home: Home
    race: str
    make: Maker
    costs: Costs
    step: Step
    note: Callable[[str], None]
    about: tuple[object, ...] = ()
    intake: Intake = field(default_factory=Intake)

    def commits(self, repo: Path, good: str, bad: str) -> Case:
        """The commits of a kernel's repository between two."""
        if not repo.is_dir():
            raise UserError(f"{repo}: no git repository here; other trees take --series")
        repo = repo.absolute()
        older, newer, fix = revisions.order(repo, good, bad)
        found = revisions.between(repo, older, newer)
        with self.step(f"tree {repo}@{newer}") as tell:
            base = base_for(find_revision(self.home, f"{repo}@{newer}", tell).version)
        weights = revisions.weigh(found, self._likely(base))
        model = Model(revisions.graph(found, older), weights=weights, fix=fix)
        probe = self._probe(lambda revision: self._build(f"{repo}@{revision}", ()))
        name = _key(self.race, *self.about, repo, older, newer, fix)
        return Case(name, model, probe, self.costs, _subjects(found), self._ready(found, base))

    def subsets(
        self, tree: str, before: tuple[str, ...], series: str, line: Dag, *, fix: bool
    ) -> Case:
        """A line of subsets of a series' patches, on a tree with other series beneath."""

        def build(name: str) -> Built:
            numbers = ",".join(str(number + 1) for number in subset_of(name))
            return self._build(tree, (*before, f"{series}[{numbers}]"))

        subjects = [patch.subject for patch in self.read(tree, series).patches]
        titles = {name: subjects[_added(line, name)] for name in line.names[: line.size]}
        name = _key(self.race, *self.about, tree, *before, series, fix, *line.names)
        return Case(name, Model(line, fix=fix), self._probe(build), self.costs, titles)

    def read(self, tree: str, series: str) -> Series:
        """Read the series that is bisected; UserError when it has no patch."""
        find = find_revision if is_revision(tree) else find_tree
        base = base_for(find(self.home, tree, self.note).version)
        found = self.intake.resolve(self.home, [series], base)[0]
        if not found.patches:
            raise UserError(f"{series} has no patch for {tree}")
        return found

    def _build(self, tree: str, series: tuple[str, ...]) -> Built:
        configs = load_race(self.race).fragments()
        return campaign.build(self.home, tree, series, configs, self.step, self.intake)

    def _probe(self, build: Callable[[str], Built]) -> KernelProbe:
        return KernelProbe(build, self.make, self.note)

    def _ready(self, found: Sequence[revisions.Commit], base: Base) -> tuple[str, ...]:
        """Those whose kernels are there, of this bisection or another."""
        trees = [one.tree for one in found]
        there = built_among(self.home, trees, base, campaign.fragments())
        return tuple(one.id for one in found if one.tree in there)

    def _likely(self, base: Base) -> tuple[str, ...]:
        """Directories in which the race's own patches work."""
        try:
            patches = resolve_series(f"fixes/{self.race}", base).patches
        except UserError:
            return ()
        folders = {str(PurePosixPath(file).parent) for one in patches for file in one.files}
        return tuple(sorted(f"{folder}/" for folder in folders if folder != "."))


def short(revision: str) -> str:
    """A commit's id as people read it; the name of a subset stays whole."""
    return revision[:12] if len(revision) == 40 else revision


def _added(line: Dag, name: str) -> int:
    """Number of the patch that a subset adds to the one before it."""
    row = line.rows[name]
    before = subset_of(line.names[line.parents[row][0]])
    return next(iter(set(subset_of(name)) - set(before)))


def _subjects(found: tuple[revisions.Commit, ...]) -> dict[str, str]:
    return {one.id: one.subject for one in found}


def _key(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
