# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that fail now and then, made of random numbers: what the estimators are tried on.

Their failure rates are not those that the estimators assume, except for ``constant``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmrace.bisect.dag import Dag, Floats
from mmrace.bisect.engine import Bisection
from mmrace.bisect.posterior import Model
from mmrace.bisect.values import Answer, Phase, Request, Result, Settings
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.signtest import SignTest
from mmrace.verdicts.verdict import Arm, Rules, Statement

Rates = Callable[[npt.NDArray[np.int64]], Floats]
Random = np.random.Generator

PASS = Judgement(Outcome.PASS)
BUG = Judgement(Outcome.CRASH, signature_matched=True)


def constant(q: float, _random: Random) -> Rates:
    """Every run fails with probability q."""
    return lambda runs: np.full(runs.size, q)


def bimodal(q: float, random: Random) -> Rates:
    """Half of the runs (for small q: a share of 2q) can fail, nearly at once; the rest never."""
    share = min(0.5, 2 * q)
    return lambda runs: np.where(random.random(runs.size) < share, q / share, 0.0)


def burn_in(q: float, random: Random) -> Rates:
    """The rate settles within some 5/q runs, from 0.3 q or from 1.7 q."""
    start = 0.3 if random.random() < 0.5 else 1.7
    return lambda runs: np.minimum(q * (1 + (start - 1) * np.exp(-runs * q / 5)), 1.0)


def drifting(q: float, random: Random) -> Rates:
    """The rate swings by half of itself, once in 500 runs, from anywhere."""
    phase = random.random()
    return lambda runs: q * (1 + 0.5 * np.sin(2 * math.pi * (runs / 500 + phase)))


def clustered(q: float, random: Random) -> Rates:
    """As bimodal, but the two kinds come in stretches of four runs: these are not independent."""
    share = min(0.5, 2 * q)
    kinds = random.random(5000) < share
    return lambda runs: np.where(kinds[(runs // 4) % 5000], q / share, 0.0)


MODELS = {"constant": constant, "bimodal": bimodal, "burn-in": burn_in, "drifting": drifting}
OUTSIDE = {"clustered": clustered}


def line(size: int = 128) -> Dag:
    """A history without merges."""
    return Dag.line([f"c{number}" for number in range(size)], "good")


def merges(size: int = 128, seed: int = 1) -> tuple[Dag, list[int]]:
    """Make a history with side branches; also the rows of their commits and of the merges."""
    random = np.random.default_rng(seed)
    names, parents, beside = [], [], []
    main = "good"

    def commit(*above: str) -> str:
        names.append(f"c{len(names)}")
        parents.append(list(above))
        return names[-1]

    while len(names) < size - 9:
        fork = main
        for _ in range(int(random.integers(1, 5))):
            main = commit(main)
        if random.random() < 0.7:
            side = fork
            for _ in range(int(random.integers(1, 5))):
                side = commit(side)
                beside.append(len(names) - 1)
            main = commit(main, side)
            beside.append(len(names) - 1)
    while len(names) < size:
        main = commit(main)
    return Dag(names, parents, "good"), beside


@dataclass(frozen=True)
class Truth:
    """What is planted: the culprit's row (None: all revisions fail) and the rates."""

    culprit: int | None
    rates: Rates
    unrelated: float


def run_bisection(
    model: Model, truth: Truth, random: Random, settings: Settings, most: int = 6000
) -> Answer:
    """Bisect a planted failure to the end; the clock of its rates counts all runs."""
    bisection, made = Bisection(model, settings), 0
    while made < most and (request := bisection.request()) is not None:
        row = model.dag.rows[request.revision]
        bad = truth.culprit is None or bool(model.dag.contains(row)[truth.culprit])
        rate = truth.rates(np.arange(made, made + request.runs)) * bad
        failed = random.random(request.runs) < 1 - (1 - rate) * (1 - truth.unrelated)
        made += _feed(bisection, request, failed)
    return bisection.answer()


def _feed(bisection: Bisection, request: Request, failed: npt.NDArray[np.bool_]) -> int:
    if request.phase is Phase.LEARN:
        counts = {Result.BAD: int(failed.sum()), Result.GOOD: int((~failed).sum())}
    else:
        clean = int(failed.argmax()) if failed.any() else failed.size
        counts = {Result.GOOD: clean, Result.BAD: int(failed.any())}
    for result, times in counts.items():
        if times:
            bisection.observe(request.revision, result, times)
    return sum(counts.values())


def run_steps(size: int, truth: Truth, random: Random, runs: int) -> tuple[bool, int]:
    """Bisect as git does, a revision being good when ``runs`` runs hold; (right, runs made)."""
    good, bad, made = -1, size - 1, 0
    while bad - good > 1:
        middle = (good + bad) // 2
        rate = truth.rates(np.arange(made, made + runs)) * (middle >= (truth.culprit or 0))
        failed = random.random(runs) < 1 - (1 - rate) * (1 - truth.unrelated)
        made += int(failed.argmax()) + 1 if failed.any() else runs
        good, bad = (good, middle) if failed.any() else (middle, bad)
    return bad == truth.culprit, made


def run_campaign(rules: Rules, before: Rates, after: Rates, random: Random) -> Statement:
    """Verify two simulated kernels to the end; both share the clock of the host."""
    campaign = SignTest(rules)
    while not campaign.done:
        pair = campaign.next_pair()
        seen = {}
        for offset, side in enumerate(pair.order):
            rates = before if side is Arm.BEFORE else after
            rate = rates(np.array([2 * pair.index + offset]))[0]
            seen[side] = BUG if random.random() < rate else PASS
        campaign.record(seen[Arm.BEFORE], seen[Arm.AFTER])
    return campaign.statement()
