# SPDX-License-Identifier: GPL-2.0-only
"""How the posterior over commits moved, run by run, as a table and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mmrace.bisect.engine import Bisection
from mmrace.bisect.posterior import Model
from mmrace.bisect.values import Observation, Phase, Settings
from mmrace.verdicts.figure import figure, look, svg

Floats = npt.NDArray[np.float64]
_LABELS = 48  # revisions that a picture can name one by one


@dataclass(frozen=True)
class Drift:
    """``posterior`` has a row for each stop, and a column for each candidate and "no culprit".

    A stop is where the bisection turned to another revision; ``runs`` are those made until then,
    ``phases`` what they were made for, ``tested`` the revision's row in the graph.
    """

    runs: tuple[int, ...]
    phases: tuple[Phase, ...]
    tested: tuple[int, ...]
    posterior: Floats


def follow(model: Model, settings: Settings, observations: Sequence[Observation]) -> Drift:
    """Go through the runs of a log once more."""
    bisection = Bisection(model, settings)
    runs, phases, tested, rows = [0], [Phase.LEARN], [model.failing_end], [_columns(bisection)]
    for number, one in enumerate(observations, 1):
        last = number == len(observations)
        bisection.observe(one.revision, one.result)
        if last or observations[number].revision != one.revision:
            runs.append(number)
            phases.append(bisection.steps[-1].phase)
            tested.append(model.dag.rows[one.revision])
            rows.append(_columns(bisection))
    return Drift(tuple(runs), tuple(phases), tuple(tested), np.array(rows))


def _columns(bisection: Bisection) -> Floats:
    culprit, size = bisection.belief.culprit, bisection.model.dag.size
    return np.append(culprit[:size], culprit[size:].sum())


def picture(drift: Drift, names: Sequence[str]) -> Markup:
    """Draw candidates downwards, oldest first, and runs to the right; dark is likely.

    ``names`` are the candidates' as people know them. A dot is a revision that was run.
    """
    with look():
        return _drawn(drift, names)


def _drawn(drift: Drift, names: Sequence[str]) -> Markup:
    stops, columns = drift.posterior.shape
    height = min(12.0, max(2.5, 0.9 + 0.17 * columns))
    made = figure(9, height)
    axes = made.add_subplot()
    shown = np.sqrt(drift.posterior.T)  # a tenth is to be seen beside nine tenths
    axes.imshow(
        shown, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest", origin="upper"
    )
    inside = [(stop, row) for stop, row in enumerate(drift.tested) if stop and row < columns - 1]
    if inside:
        axes.plot(*zip(*inside, strict=True), "o", color="#c0392b", markersize=3)
    if columns <= _LABELS:
        axes.set_yticks(range(columns), [*names, "no culprit here"], fontsize=7)
    else:
        axes.set_yticks([columns - 1], ["no culprit here"])
        axes.set_ylabel("commits, oldest first")
    every = max(1, stops // 14)
    axes.set_xticks(
        range(0, stops, every), [str(drift.runs[stop]) for stop in range(0, stops, every)]
    )
    axes.set_xlabel("runs made; a dot is the revision that was run")
    best = int(drift.posterior[-1].argmax())
    named = [*names, "no culprit here"][best]
    caption = (
        f"Posterior over {columns - 1} candidates; at the end {drift.posterior[-1][best]:.3f} on"
    )
    return svg(made, "drift", f"{caption} {named}")
