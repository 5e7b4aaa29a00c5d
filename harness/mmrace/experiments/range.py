# SPDX-License-Identifier: GPL-2.0-only
"""The range to bisect: commits of a kernel's repository, or patches of a series."""

from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.bisect.search import Costs
from mmrace.definitions.reproducer import in_memory
from mmrace.errors import UserError
from mmrace.experiments.bisection import (
    Bisected,
    KernelCases,
    Limits,
    Needed,
    bisect,
    bisect_subsets,
)
from mmrace.experiments.reproducing import Learnt, failing_end, learn_for_bisection
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work

ROUND_TRIP = 5.0  # seconds of a run besides its workload (boot, shutdown), under TCG


@dataclass(frozen=True)
class Range:
    """Commits of ``tree`` from ``good`` to ``bad``, or patches of ``series`` on ``tree``.

    ``before``: series applied beneath. ``fix``: look for the patch that ends the failure;
    ``enough``: for the smallest set of patches that does. Raises UserError when both kinds are
    mixed.
    """

    tree: str
    good: str | None = None
    bad: str | None = None
    series: str | None = None
    before: tuple[str, ...] = ()
    fix: bool = False
    enough: bool = False

    def __post_init__(self) -> None:
        if self.series and (self.good or self.bad):
            raise UserError("--series has its own ends; omit --good and --bad")
        if not self.series and not (self.good and self.bad):
            raise UserError("nothing to bisect; name --good and --bad, or --series")
        if not self.series and (self.before or self.fix or self.enough):
            raise UserError("--before, --fix and --enough are about a series; name it by --series")


def bisect_range(
    session: Session,
    work: Work,
    found: Range,
    limits: Limits,
    build_cost: float | None = None,
    run_cost: float | None = None,
) -> Bisected | Needed | Learnt:
    """Bisect kernels by one kind of run; return a ``Learnt`` when the failure cannot be learnt.

    Costs are in seconds; None: an estimate. Raises UserError, BuildError.
    """
    if in_memory(work.race):
        where, on_top = failing_end(
            found.tree, found.bad, found.before, found.series, fix=found.fix or found.enough
        )
        built = session.build(where, on_top, work.options, work.race)
        learnt = learn_for_bisection(session, built, work, limits.most)
        if learnt.trouble:
            return learnt
        work = replace(work, race=learnt.race, workload=learnt.race.workload[0])
    costs = Costs(build_cost or 60, ROUND_TRIP, run_cost or work.options.seconds)
    cases = KernelCases(session, work, costs)
    if found.good and found.bad:
        return bisect(session, cases.commits(Path(found.tree), found.good, found.bad), limits)
    series = found.series or ""
    if found.enough:
        return bisect_subsets(session, cases, found.tree, found.before, series, limits)
    case = cases.patches(found.tree, found.before, series, fix=found.fix)
    return bisect(session, case, limits)
