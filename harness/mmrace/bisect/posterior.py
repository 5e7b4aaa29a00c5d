# SPDX-License-Identifier: GPL-2.0-only
"""What the runs so far say about who the culprit is and how often it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mmrace.bisect.dag import Bools, Dag, Floats

# A failure in fewer than one run of 1000 is out of reach of a bisection.
_Q = np.geomspace(0.001, 0.998, 48)
_Q_PRIOR = np.full(_Q.size, 1 / _Q.size)
# The signature on a revision without the failure: impossible, or rare.
_E = np.array([1e-5, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03])
_E_PRIOR = np.array([0.25, 0.1, 0.13, 0.15, 0.15, 0.13, 0.07, 0.02])


@dataclass(frozen=True)
class Model:
    """Hypotheses and priors.

    One hypothesis for each candidate, then ALWAYS (every revision fails: the change is older, or
    with ``fix`` there is none) and NEVER (no revision has the failure; runs fail by chance alone).
    ``weights`` are prior weights of the candidates, in their order; ``nobody`` is the prior of
    ALWAYS and of NEVER together. With ``fix`` the culprit is what ends the failure, and the older
    end fails.
    """

    dag: Dag
    weights: tuple[float, ...] = ()
    fix: bool = False
    nobody: float = 0.05
    q: Floats = field(default_factory=lambda: _Q)
    q_prior: Floats = field(default_factory=lambda: _Q_PRIOR)
    e: Floats = field(default_factory=lambda: _E)
    e_prior: Floats = field(default_factory=lambda: _E_PRIOR)
    _fails: dict[int, Bools] = field(default_factory=dict, repr=False)

    @property
    def always(self) -> int:
        """Index of the hypothesis that every revision fails."""
        return self.dag.size

    @property
    def never(self) -> int:
        """Index of the hypothesis that no revision fails but by chance."""
        return self.dag.size + 1

    @property
    def failing_end(self) -> int:
        """Row of the end that is known to fail."""
        return self.dag.older_end if self.fix else self.dag.newer_end

    @cached_property
    def prior(self) -> Floats:
        """Prior of each hypothesis."""
        weights = np.array(self.weights or (1.0,) * self.dag.size, dtype=np.float64)
        share = (1 - self.nobody) * weights / weights.sum()
        return np.concatenate([share, [self.nobody / 2, self.nobody / 2]])

    @cached_property
    def logs(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Logarithms of q, 1 - q, e and 1 - e."""
        return np.log(self.q), np.log1p(-self.q), np.log(self.e), np.log1p(-self.e)

    def fails(self, row: int) -> Bools:
        """Under which hypotheses this revision has the failure."""
        if row not in self._fails:
            self._fails[row] = np.concatenate([self.dag.contains(row) ^ self.fix, [True, False]])
        return self._fails[row]


@dataclass(frozen=True)
class Tally:
    """Runs of one revision that could tell, and how many showed the signature."""

    runs: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Belief:
    """Posterior: of each hypothesis, and of q and e (on their grids) under each hypothesis."""

    culprit: Floats
    q_given: Floats
    e_given: Floats

    @property
    def best(self) -> int:
        """Index of the likeliest hypothesis."""
        return int(self.culprit.argmax())

    @property
    def failure_rate(self) -> Floats:
        """Posterior weights of q, summed over all culprits."""
        return np.asarray(self.culprit @ self.q_given)


def infer(model: Model, tallies: Mapping[int, Tally]) -> Belief:
    """Bayes' rule over all hypotheses; ``tallies`` maps rows to what their runs showed.

    Given the culprit the runs fall in two classes, those of revisions with the failure (rate q)
    and the others (rate e), so that q and e can be summed out apart from each other.
    """
    hits = np.zeros(model.dag.size + 2)
    runs = np.zeros(model.dag.size + 2)
    all_hits = all_runs = 0
    for row, tally in tallies.items():
        fails = model.fails(row)
        hits += tally.failures * fails
        runs += tally.runs * fails
        all_hits += tally.failures
        all_runs += tally.runs
    log_q, log_not_q, log_e, log_not_e = model.logs
    with np.errstate(divide="ignore"):
        q_joint = np.outer(hits, log_q) + np.outer(runs - hits, log_not_q) + np.log(model.q_prior)
        e_joint = np.outer(all_hits - hits, log_e) + np.log(model.e_prior)
        e_joint += np.outer(all_runs - runs - all_hits + hits, log_not_e)
        q_given, q_total = _normalise(q_joint)
        e_given, e_total = _normalise(e_joint)
        joint = np.log(model.prior) + q_total + e_total
    return Belief(_normalise(joint[None, :])[0][0], q_given, e_given)


def _normalise(joint: Floats) -> tuple[Floats, Floats]:
    """Turn rows of log weights into probabilities and the logs of their sums."""
    top = joint.max(axis=1, keepdims=True)
    weights = np.exp(joint - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, (top + np.log(total))[:, 0]
