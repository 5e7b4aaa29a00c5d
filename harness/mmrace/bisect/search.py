# SPDX-License-Identifier: GPL-2.0-only
"""Which revision to run next, and how often: the most information for a second of work."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmrace.bisect.dag import Bools, Floats
from mmrace.bisect.posterior import Belief, Model

_BATCHES = np.unique(np.geomspace(1, 1000, 20).round())
# A longer batch that gains nearly as fast saves decisions.
_RETAIN = 0.97
_SHORTLIST = 24
_TINY = 1e-12


@dataclass(frozen=True)
class Costs:
    """Seconds of work: a kernel that is not built yet, and one run with its boot."""

    build: float = 85.0
    boot: float = 5.0
    run: float = 20.0


@dataclass(frozen=True)
class Choice:
    """Run ``row`` until it fails, ``runs`` times at most; the bits gained, and the time."""

    row: int
    runs: int
    information: float
    seconds: float


def choose(
    model: Model,
    belief: Belief,
    costs: Costs,
    built: Collection[int],
    skipped: Collection[int],
) -> Choice | None:
    """Weigh all revisions and batch sizes; None when no revision left can tell anything.

    The information is that between "this revision has the failure" and "some run of the batch
    fails". A revision near one that could not be used is likely of no use either.
    """
    rows = _shortlist(model, belief, built, skipped)
    if not rows.size:
        return None
    fails = _fails(model, rows)
    clean_bad, runs_bad, mass = _survival(fails, belief.culprit, model.q, belief.q_given)
    clean_good, runs_good, _ = _survival(~fails, belief.culprit, model.e, belief.e_given)
    share = mass[:, None]
    information = _information(share, clean_bad, clean_good)
    expected = share * runs_bad + (1 - share) * runs_good
    build = np.where(np.isin(rows, list(built)), 0.0, costs.build)[:, None]
    seconds = build + expected * (costs.boot + costs.run)
    gain = information * _usable(model, rows, skipped)[:, None] / seconds
    best = int(gain.max(axis=1).argmax())
    batch = int(np.flatnonzero(gain[best] >= _RETAIN * gain[best].max())[-1])
    if information[best, batch] < 1e-6:
        return None
    return Choice(
        int(rows[best]),
        int(_BATCHES[batch]),
        float(information[best, batch]),
        float(seconds[best, batch]),
    )


def _shortlist(
    model: Model, belief: Belief, built: Collection[int], skipped: Collection[int]
) -> npt.NDArray[np.intp]:
    """Rows worth a closer look: those that part the posterior best, and all that are built."""
    part = model.dag.mass(belief.culprit[: model.dag.size])
    if model.fix:
        part = belief.culprit[: model.dag.size].sum() - part
    part = part + belief.culprit[model.always]
    # Clean runs are weak evidence, so the best share to test lies below a half, near 1/e.
    worth = np.maximum(part, 0) * np.maximum(1 - part, 0) ** 1.6
    # Parents that are no candidates serve as proof, not in the search.
    worth[model.dag.older_end + 1 :] = 0
    worth[list(skipped)] = 0
    best = np.argsort(-worth)[:_SHORTLIST]
    rows: npt.NDArray[np.intp] = np.union1d(best, np.array(list(built), dtype=np.intp))
    telling: npt.NDArray[np.intp] = rows[worth[rows] > 1e-9]
    return telling


def _survival(
    under: Bools, culprit: Floats, rate: Floats, given: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return, by row and batch size: P(no failure), expected runs; by row: P(it is so)."""
    clean = (1 - rate[:, None]) ** _BATCHES[None, :]
    runs = (1 - clean) / rate[:, None]
    weights = under.astype(np.float64) @ (culprit[:, None] * given)
    mass = weights.sum(axis=1)
    weights /= np.maximum(mass, 1e-300)[:, None]
    return weights @ clean, weights @ runs, mass


def _fails(model: Model, rows: npt.NDArray[np.intp]) -> Bools:
    inside = model.dag.contains(rows) ^ model.fix
    return np.hstack([inside, np.ones((rows.size, 1), bool), np.zeros((rows.size, 1), bool)])


def _information(share: Floats, bad: Floats, good: Floats) -> Floats:
    """Return the bits that a clean or unclean batch tells about whether the failure is there."""
    mixed = share * bad + (1 - share) * good
    return share * _divergence(bad, mixed) + (1 - share) * _divergence(good, mixed)


def _divergence(p: Floats, q: Floats) -> Floats:
    """Kullback and Leibler's divergence of two coins, in bits."""
    p, q = np.clip(p, _TINY, 1 - _TINY), np.clip(q, _TINY, 1 - _TINY)
    return np.asarray(p * np.log2(p / q) + (1 - p) * np.log2((1 - p) / (1 - q)))


def _usable(model: Model, rows: npt.NDArray[np.intp], skipped: Collection[int]) -> Floats:
    if not skipped:
        return np.ones(rows.size)
    distance = np.abs(rows[:, None] - np.array(list(skipped))[None, :]).min(axis=1)
    inside = rows < model.dag.size
    return np.where(inside, 1 - 2.0**-distance, 1.0)
