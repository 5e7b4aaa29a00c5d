# SPDX-License-Identifier: GPL-2.0-only
import numpy as np
import pytest

from mmrace.bisect.dag import Dag
from mmrace.bisect.engine import Bisection
from mmrace.bisect.posterior import Model
from mmrace.bisect.subset import enough, prefixes, subset_name, subset_of
from mmrace.bisect.values import Answer, Result, Settings


def bisector(needed: set[int], q: float = 0.5, broken: tuple[str, ...] = ()) -> object:
    """Bisect a fix that takes the needed patches together."""
    random = np.random.default_rng(3)

    def bisect(dag: Dag) -> Answer:
        bisection = Bisection(Model(dag, fix=True), Settings(learn_failures=4, learn_runs=40))
        while (request := bisection.request()) is not None:
            bad = not needed <= set(subset_of(request.revision)) and random.random() < q
            result = Result.BAD if bad else Result.GOOD
            skip = request.revision in broken
            bisection.observe(request.revision, Result.SKIP if skip else result)
        return bisection.answer()

    return bisect


@pytest.mark.parametrize("needed", [{0}, {6}, {2, 5}, {0, 3, 6}, set(range(7))])
def test_finds_the_patches_that_are_enough(needed: set[int]) -> None:
    assert enough(7, bisector(needed)) == tuple(sorted(needed))


def test_nothing_is_needed_when_nothing_fails() -> None:
    assert enough(5, bisector(set())) == ()


def test_stays_open_when_the_series_does_not_fix() -> None:
    assert enough(3, bisector({7})) is None


def test_stays_open_when_what_would_tell_does_not_build() -> None:
    assert enough(4, bisector({2}, broken=("0,1", "0,1,2"))) is None


def test_names_go_both_ways() -> None:
    assert subset_of(subset_name((3, 1))) == (1, 3)
    assert subset_of(subset_name(())) == ()
    dag = prefixes((4,), (0, 1))
    assert dag.names == ("0,4", "0,1,4", "4")
