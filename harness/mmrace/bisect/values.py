# SPDX-License-Identifier: GPL-2.0-only
"""What flows in and out of a bisection."""

from dataclasses import dataclass, field
from enum import StrEnum

from mmrace.bisect.search import Costs


class Phase(StrEnum):
    """What a run was made for."""

    LEARN = "learn"
    SEARCH = "search"
    PROVE = "prove"
    DONE = "done"


class Result(StrEnum):
    """What one run of a revision showed; the words are those of git bisect, but for VOID."""

    BAD = "bad"  # the failure's own signature
    GOOD = "good"  # exercised, and not seen
    VOID = "void"  # cannot be judged: another crash, or not exercised this time
    SKIP = "skip"  # the revision is of no use: it does not build or boot


@dataclass(frozen=True)
class Observation:
    """One run of one revision."""

    revision: str
    result: Result


@dataclass(frozen=True)
class Settings:
    """``delta``: posterior asked for is 1 - delta, and each proof may be wrong with delta / 2.

    Learning ends after ``learn_failures`` failures or ``learn_runs`` runs of the failing end. A
    suspect is put to the proof once its posterior is ``suspicion``, and no longer when it falls
    below ``drop`` or behind another's: the runs that tell it from its neighbours are those of the
    proof anyway.
    """

    delta: float = 0.05
    learn_failures: int = 8
    learn_runs: int = 600
    suspicion: float = 0.3
    drop: float = 0.15
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Request:
    """Runs to make now: of this revision, until one fails, ``runs`` at most."""

    revision: str
    runs: int
    phase: Phase


@dataclass(frozen=True)
class Step:
    """Runs of one revision in a row, made for one purpose."""

    revision: str
    phase: Phase
    runs: int = 0
    failures: int = 0
    void: int = 0
    skipped: bool = False


@dataclass(frozen=True)
class Answer:
    """Where a bisection stands.

    ``culprit`` is None while no revision has the posterior asked for, or when ``no_culprit`` (the
    posterior of "no change between the ends") has it. ``suspects`` hold the candidates, likeliest
    first, that make up that posterior together. ``runs`` counts by phase, void runs included.
    """

    culprit: str | None
    posterior: float
    no_culprit: float
    confirmed: bool
    done: bool
    suspects: tuple[tuple[str, float], ...]
    steps: tuple[Step, ...]
    runs: dict[Phase, int]
    builds: int
