# SPDX-License-Identifier: GPL-2.0-only
"""Cases of bisection: the interface, and any repository by a command's exit code."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.bisect import revisions
from mmrace.bisect.loop import Probe, command_probe
from mmrace.bisect.posterior import Model
from mmrace.bisect.search import Costs
from mmrace.home import Home


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
        name = case_key("command", repo, older, newer, fix, *self.argv)
        clone = revisions.share(repo, self.home.bisections / name / "clone")
        found = revisions.between(repo, older, newer)
        model = Model(revisions.graph(found, older), weights=revisions.weigh(found), fix=fix)
        probe = command_probe(clone, self.argv, self.deadline)
        return Case(name, model, probe, self.costs, subjects(found))


def short(revision: str) -> str:
    """A commit's id as people read it; the name of a subset stays whole."""
    return revision[:12] if len(revision) == 40 else revision


def subjects(found: tuple[revisions.Commit, ...]) -> dict[str, str]:
    """Titles of commits, for people."""
    return {one.id: one.subject for one in found}


def case_key(*parts: object) -> str:
    """Name a bisection by all that its question depends on."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
