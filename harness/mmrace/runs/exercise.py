# SPDX-License-Identifier: GPL-2.0-only
"""Proof of exercise where no author of a race says what proves it: functions that are counted.

For a comparison they are those that the series changes, for a bisection those of the failing call
trace. A run of "after" has to execute each of them a tenth as often as runs of "before" did until
they failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from mmrace.definitions.race import Workload
from mmrace.definitions.reproducer import FUNCTIONS
from mmrace.home import Home
from mmrace.patching.applied import function_diff
from mmrace.patching.subject import read_change
from mmrace.symbols.countable import Countable

SHARE = 0.1


@dataclass(frozen=True)
class Fitted:
    """A workload as one kernel can be asked for it; ``notes``: functions that are not counted."""

    workload: Workload
    places: dict[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()


def changed_functions(home: Home, before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Functions, each with its file, that differ between two commits."""
    changed = read_change(function_diff(home, before, after)).changed
    return tuple((name, file) for name, file in changed if file.endswith((".c", ".h")))


def min_counts(runs: Sequence[Mapping[str, int]], share: float = SHARE) -> dict[str, int]:
    """Return what is asked of later runs, from the counters of runs of the bad kernel.

    A function that no such run executed is not asked for by itself.
    """
    names = {name for counters in runs for name in counters if name.startswith("probe:")}
    found = {}
    for name in sorted(names):
        counts = [counters[name] for counters in runs if counters.get(name)]
        if counts:
            found[name] = max(1, int(share * median(counts)))
    return found


def fit_to_kernel(workload: Workload, countable: Countable) -> Fitted:
    """Ask nothing of a kernel that it cannot be asked for: functions that it does not have."""
    refused = countable.refused
    absent = {f"probe:{name}" for name in workload.probes if name in refused}
    wanted = {name: count for name, count in workload.exercised.items() if name not in absent}
    if not countable.places:
        wanted.pop(FUNCTIONS, None)
    notes = tuple(
        f"{name} is not counted: {refused[name]}" for name in workload.probes if name in refused
    )
    return Fitted(workload.model_copy(update={"exercised": wanted}), countable.places, notes)
