# SPDX-License-Identifier: GPL-2.0-only
"""Ways in which a bad kernel can be run, and which of them provokes its failure most often."""

from collections.abc import Sequence

from mmrace.definitions.race import Race
from mmrace.definitions.reproducer import with_delays
from mmrace.definitions.window import Delays
from mmrace.experiments.session import Session
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir

NEAR = 2  # innermost functions of a failing call trace in which runs are delayed


def ways_to_run(race: Race, options: RunOptions, failing: Sequence[str]) -> tuple[Race, ...]:
    """Ways to run the bad kernel: unsteered, delayed where it failed, delayed where the series is.

    Which of both delays provokes the bug depends on it: a use after free fails near its race, a
    page that was lost fails long after.
    """
    if not race.delays:
        return (race,)
    near = with_delays(race, [(name, "") for name in failing[:NEAR]])
    steered = (near, race) if near.delays else (race,)
    return steered if options.steer else (race.model_copy(update={"delays": None}), *steered)


def next_way(ways: Sequence[Race], runs: Sequence[RunDir]) -> Race:
    """Choose the next run: the way that has failed most often so far."""

    def promise(race: Race) -> tuple[float, int]:
        mine = [run for run in runs if run.spec().race.delays == race.delays]
        return (sum(map(failed, mine)) + 1) / (len(mine) + 2), -len(mine)

    return max(ways, key=promise)


def best_way(session: Session, race: Race, runs: Sequence[RunDir]) -> Race:
    """Choose the way in which the bad kernel failed most often, as fewer runs then decide."""
    kinds: dict[Delays | None, list[RunDir]] = {}
    for run in runs:
        kinds.setdefault(run.spec().race.delays, []).append(run)
    changed = race.delays
    names = {None: "unsteered", changed: "with delays in these functions"}
    shown = sorted(kinds, key=lambda way: (way is not None, way == changed))
    counts = [
        f"{sum(map(failed, kinds[way]))} of {len(kinds[way])} runs failed"
        f" {names.get(way, 'with delays where it failed')}"
        for way in shown
    ]
    if len(counts) > 1:
        session.note("; ".join(counts))
    best = max(shown, key=lambda way: sum(map(failed, kinds[way])) / len(kinds[way]))
    return race.model_copy(update={"delays": best})


def failed(run: RunDir) -> bool:
    """Whether a run of the bad kernel showed the failure."""
    judged = run.judgement()
    return judged.outcome.failed and judged.signature_matched
