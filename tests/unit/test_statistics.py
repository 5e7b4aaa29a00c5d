# SPDX-License-Identifier: GPL-2.0-only
"""A small sample of ``make bench-statistics``, with fixed seeds."""

import numpy as np
import pytest

from bench.simulators import MODELS, Truth, constant, line, merges, run_bisection, run_campaign
from bench.simulators import run_steps as steps
from mmrace.bisect.posterior import Model
from mmrace.bisect.values import Phase, Settings
from mmrace.verdicts.verdict import Rules, Verdict


@pytest.mark.parametrize("name", sorted(MODELS))
def test_models_fail_as_often_as_they_say(name: str) -> None:
    random = np.random.default_rng(1)
    rates = [MODELS[name](0.2, random)(np.arange(500, 1500)).mean() for _ in range(50)]
    assert np.mean(rates) == pytest.approx(0.2, rel=0.05)


def test_merges_are_a_history_with_culprits_beside_the_line() -> None:
    dag, beside = merges()
    assert dag.size == 128
    assert len(beside) > 30
    assert sum(len(parents) > 1 for parents in dag.parents) > 10
    assert sum(not dag.contains(dag.newer_end - 20)[row] for row in range(100)) < 100


@pytest.mark.parametrize("name", [*sorted(MODELS), "merges"])
def test_bisections_are_right_and_cheap(name: str) -> None:
    dag, rows = merges() if name == "merges" else (line(), list(range(128)))
    random, model, answers = np.random.default_rng(5), Model(dag), []
    make = MODELS.get(name, constant)
    for _ in range(12):
        culprit = int(random.choice(rows))
        truth = Truth(culprit, make(0.5, random), 0.005)
        answer = run_bisection(model, truth, random, Settings())
        answers.append((answer.culprit == dag.names[culprit], answer.runs[Phase.SEARCH]))
    right, runs = np.mean(answers, axis=0)
    assert right >= 10 / 12
    assert runs <= 40


def test_ten_runs_a_step_are_not_enough_for_a_rare_failure() -> None:
    random = np.random.default_rng(5)
    done = [
        steps(128, Truth(int(random.integers(128)), constant(0.05, random), 0), random, 10)
        for _ in range(300)
    ]
    right, runs = np.mean(done, axis=0)
    assert right < 0.2
    assert runs < 70


@pytest.mark.parametrize("name", sorted(MODELS))
def test_campaigns_call_only_the_fixed_fixed(name: str) -> None:
    random = np.random.default_rng(5)
    verdicts = {0.0: 0, 1.0: 0}
    for scale in verdicts:
        for seed in range(25):
            rates = MODELS[name](0.5, random)
            rules = Rules(pairs=300, seed=seed)
            done = run_campaign(rules, rates, lambda runs, s=scale, r=rates: s * r(runs), random)
            verdicts[scale] += done.verdict is Verdict.FIXED
    assert verdicts == {0.0: 25, 1.0: 0}
