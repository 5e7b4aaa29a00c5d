# SPDX-License-Identifier: GPL-2.0-only
"""How long kernels held: survival curves over runs (Kaplan and Meier), with their bands."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mmrace.lazy import Lazy
from mmrace.runs.record import RunDir
from mmrace.verdicts.figure import figure, look, svg
from mmrace.verdicts.rates import interval
from mmrace.verdicts.sight import Sight, sight

if TYPE_CHECKING:
    from matplotlib.axes import Axes

stats = Lazy("scipy.stats")

Floats = npt.NDArray[np.float64]
LEVEL = 0.95
_COLOURS = ("#c0392b", "#1f77b4")


@dataclass(frozen=True)
class Lifetime:
    """Seconds that a run went on, and whether the race's own failure ended it."""

    seconds: float
    failed: bool


@dataclass(frozen=True)
class Curve:
    """Share that still held after ``seconds``, and its band at 95 %; steps to the right."""

    seconds: Floats
    share: Floats
    low: Floats
    high: Floats


def lifetimes(runs: Sequence[RunDir]) -> tuple[Lifetime, ...]:
    """Read runs that could tell, or that were cut short by something else; void ones are none."""
    found = []
    for run in runs:
        judged, cap = run.judgement(), run.spec().seconds
        seen = sight(judged)
        if seen is Sight.VOID:
            continue
        # Runs of earlier versions do not say how long they were in the race phase.
        ended = judged.stressed if judged.stressed is not None else judged.seconds_to_failure
        found.append(Lifetime(cap if ended is None else ended, seen is Sight.SIGNATURE))
    return tuple(found)


def curve(lives: Sequence[Lifetime]) -> Curve:
    """Kaplan and Meier's estimate (J. Am. Stat. Assoc. 53, 1958) and its log-log band.

    The band has no width where nothing failed; there the exact bound for a share without failures
    is given at the end of the last run.
    """
    failed = [one.seconds for one in lives if one.failed]
    held = [one.seconds for one in lives if not one.failed]
    last = max(one.seconds for one in lives)
    if not failed:
        bound = 1 - interval(len(lives), 0, LEVEL).high
        ends = np.array([0.0, last])
        return Curve(ends, np.ones(2), np.array([1.0, bound]), np.ones(2))
    with warnings.catch_warnings():
        # At a share of 1 or 0 the band is undefined: it is the point itself then.
        warnings.filterwarnings("ignore", message="The confidence interval is undefined")
        found = stats.ecdf(stats.CensoredData(uncensored=failed, right=held)).sf
        band = found.confidence_interval(LEVEL, method="log-log")
    share = np.asarray(found.probabilities)
    low = np.where(np.isnan(band.low.probabilities), share, band.low.probabilities)
    high = np.where(np.isnan(band.high.probabilities), share, band.high.probabilities)
    seconds = np.concatenate([[0.0], found.quantiles, [last]])
    return Curve(seconds, *(np.concatenate([[1.0], one, one[-1:]]) for one in (share, low, high)))


def picture(sides: Mapping[str, Sequence[RunDir]]) -> Markup | None:
    """Draw one curve for each side; None when no run of them can tell."""
    curves = {name: lifetimes(runs) for name, runs in sides.items()}
    curves = {name: lives for name, lives in curves.items() if lives}
    if not curves:
        return None
    with look():
        return _drawn(curves)


def _drawn(curves: Mapping[str, Sequence[Lifetime]]) -> Markup:
    made = figure(7.5, 3.2)
    axes = made.add_subplot()
    for colour, (name, lives) in zip(_COLOURS, curves.items(), strict=False):
        _draw(axes, curve(lives), colour, f"{name}: {_caption(lives)}")
    axes.set_xlabel("seconds in the race phase (guest time)")
    axes.set_ylabel("share of runs that still hold")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.03)
    axes.legend(loc="best")
    caption = "; ".join(f"{name}: {_caption(lives)}" for name, lives in curves.items())
    return svg(made, "survival", f"Survival of the kernels. {caption}")


def _draw(axes: "Axes", drawn: Curve, colour: str, label: str) -> None:
    flat = bool((drawn.share == 1).all())
    axes.step(drawn.seconds, drawn.share, where="post", color=colour, label=label)
    axes.fill_between(
        drawn.seconds,
        drawn.low,
        drawn.high,
        step=None if flat else "post",
        color=colour,
        alpha=0.18,
        linewidth=0,
    )


def _caption(lives: Sequence[Lifetime]) -> str:
    failed = sorted(one.seconds for one in lives if one.failed)
    if not failed:
        return f"none of {len(lives)} runs failed"
    middle = failed[len(failed) // 2]
    return f"{len(failed)} of {len(lives)} runs failed, half of these within {middle:.1f} s"
