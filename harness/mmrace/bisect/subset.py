# SPDX-License-Identifier: GPL-2.0-only
"""Which patches of a series are enough for the fix: one fix bisection after another.

The first finds the shortest prefix that holds, so its last patch is needed. With that patch kept,
the next looks for the last needed one before it, until the kept ones hold alone. It assumes that
adding patches never brings the failure back; a subset that does not apply or build is skipped.
"""

from collections.abc import Callable

from mmrace.bisect.dag import Dag
from mmrace.bisect.values import Answer


def subset_name(patches: tuple[int, ...]) -> str:
    """Name a subset by the numbers of its patches, in the order of the series; "none" for none."""
    return ",".join(str(number) for number in sorted(patches)) or "none"


def subset_of(name: str) -> tuple[int, ...]:
    """Return the numbers of the patches that a name denotes."""
    return () if name == "none" else tuple(int(number) for number in name.split(","))


def prefixes(kept: tuple[int, ...], rest: tuple[int, ...]) -> Dag:
    """Make the line of revisions from the kept patches alone to all of the rest beside them."""
    names = [subset_name(kept + rest[: length + 1]) for length in range(len(rest))]
    return Dag.line(names, subset_name(kept))


def enough(size: int, bisect: Callable[[Dag], Answer]) -> tuple[int, ...] | None:
    """Return the patches, of ``size`` numbered from 0, that are enough; None when it stays open.

    ``bisect`` makes a whole fix bisection over a line of subsets. Its ``learn_runs`` say how many
    runs the kept patches must hold alone: ln(1/delta)/q at least, with q from the first round.
    """
    kept: tuple[int, ...] = ()
    rest = tuple(range(size))
    while rest:
        answer = bisect(prefixes(kept, rest))
        if answer.done and not any(step.failures for step in answer.steps):
            break
        if answer.culprit is None:
            return None
        last = max(set(subset_of(answer.culprit)) - set(kept))
        kept, rest = (*kept, last), tuple(number for number in rest if number < last)
    return tuple(sorted(kept))
