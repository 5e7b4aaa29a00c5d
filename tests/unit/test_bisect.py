# SPDX-License-Identifier: GPL-2.0-only
import time
from pathlib import Path

import numpy as np
import pytest

from mmrace.bisect.dag import Dag
from mmrace.bisect.engine import Bisection
from mmrace.bisect.loop import drive
from mmrace.bisect.posterior import Model, Tally, infer
from mmrace.bisect.proof import Claim, Rates
from mmrace.bisect.search import Costs, choose
from mmrace.bisect.values import Phase, Request, Result, Settings
from mmrace.errors import UserError

LINE = Dag.line([f"c{number}" for number in range(32)], "good")
# c0 - c1 - c2 ----- c5 (merge) - c6
#        \ - c3 - c4 /
MERGE = Dag(
    ["c0", "c1", "c2", "c3", "c4", "c5", "c6"],
    [["good"], ["c0"], ["c1"], ["c1"], ["c3"], ["c2", "c4"], ["c5"]],
    "good",
)


def simulate(
    model: Model,
    culprit: int | None,
    q: float,
    seed: int,
    *,
    unrelated: float = 0.0,
    broken: tuple[str, ...] = (),
    settings: Settings | None = None,
) -> Bisection:
    """Bisect with a planted culprit (None: every revision fails)."""
    generator = np.random.default_rng(seed)
    bisection = Bisection(model, settings)
    for _ in range(5000):
        request = bisection.request()
        if request is None:
            return bisection
        if request.revision in broken:
            bisection.observe(request.revision, Result.SKIP)
            continue
        has = model.dag.contains(model.dag.rows[request.revision])
        fails = culprit is None or has[culprit] != model.fix
        rate = 1 - (1 - q * fails) * (1 - unrelated)
        bad = generator.random() < rate
        bisection.observe(request.revision, Result.BAD if bad else Result.GOOD)
    raise AssertionError("no end")


def test_dag_knows_ancestors_over_merges() -> None:
    assert MERGE.contains(MERGE.rows["c5"]).tolist() == [True] * 6 + [False]
    assert (
        MERGE.contains(MERGE.rows["c4"]).tolist() == [True, True, False, True, True] + [False] * 2
    )
    assert not MERGE.contains(MERGE.older_end).any()
    weights = np.arange(7, dtype=float)
    assert MERGE.mass(weights)[MERGE.rows["c4"]] == 0 + 1 + 3 + 4
    assert MERGE.parents[5] == (2, 4)


def test_dag_takes_parents_that_are_no_candidates() -> None:
    dag = Dag(["a", "b"], [["old"], ["a", "elsewhere"]], "old")
    assert dag.parents[1] == (0, dag.rows["elsewhere"])
    assert not dag.contains(dag.rows["elsewhere"]).any()


@pytest.mark.parametrize(
    ("names", "parents"),
    [([], []), (["a", "b"], [["b"], ["old"]]), (["a", "b"], [["old"], ["old"]])],
)
def test_dag_refuses_what_is_no_range(names: list[str], parents: list[list[str]]) -> None:
    with pytest.raises(UserError):
        Dag(names, parents, "old")


def test_posterior_is_bayes_rule() -> None:
    dag = Dag.line(["a", "b"], "old")
    model = Model(
        dag,
        weights=(1, 3),
        nobody=0.2,
        q=np.array([0.5]),
        q_prior=np.ones(1),
        e=np.array([0.1]),
        e_prior=np.ones(1),
    )
    belief = infer(model, {dag.rows["a"]: Tally(3, 1), dag.rows["b"]: Tally(1, 1)})
    bad_a, good_a = 0.5 * 0.5**2, 0.1 * 0.9**2
    by_hand = np.array(
        [0.2 * bad_a * 0.5, 0.6 * good_a * 0.5, 0.1 * bad_a * 0.5, 0.1 * good_a * 0.1]
    )
    assert belief.culprit == pytest.approx(by_hand / by_hand.sum())


def test_posterior_learns_q_and_e() -> None:
    belief = infer(Model(LINE), {LINE.newer_end: Tally(400, 80), LINE.older_end: Tally(2000, 10)})
    model = Model(LINE)
    assert belief.failure_rate @ model.q == pytest.approx(0.2, abs=0.02)
    assert belief.e_given[10] @ model.e == pytest.approx(0.005, abs=0.001)


def test_a_proof_takes_the_runs_of_the_bound() -> None:
    model = Model(
        LINE, q=np.array([0.05]), q_prior=np.ones(1), e=np.array([1e-12]), e_prior=np.ones(1)
    )
    bench = Rates(model, np.ones(1), np.ones(1), 0.025)
    clean = int(np.ceil(np.log(0.025) / np.log(0.95)))
    assert bench.missing(Claim(3, bad=False), Tally()) == clean
    assert bench.missing(Claim(3, bad=False), Tally(10, 0)) == clean - 10
    assert bench.missing(Claim(3, bad=False), Tally(clean, 0)) == 0
    assert bench.missing(Claim(3, bad=True), Tally(50, 0)) == 1
    assert bench.missing(Claim(3, bad=True), Tally(51, 1)) == 0


def test_choice_prefers_what_is_built() -> None:
    model = Model(LINE)
    belief = infer(model, {LINE.newer_end: Tally(20, 10)})
    costs = Costs(build=1e5, boot=1, run=1)
    assert choose(model, belief, costs, {9}, ()).row == 9
    free = choose(model, belief, Costs(build=0, boot=1, run=1), {9}, ())
    assert 10 < free.row < 22


def test_choice_batches_more_when_building_is_dear_and_failures_rare() -> None:
    model = Model(LINE)
    often = infer(model, {LINE.newer_end: Tally(20, 10)})
    rare = infer(model, {LINE.newer_end: Tally(200, 10)})
    costs = Costs(build=60, boot=5, run=20)
    assert 1 <= choose(model, often, costs, (), ()).runs <= 6
    assert 14 <= choose(model, rare, costs, (), ()).runs <= 60
    assert (
        choose(model, rare, Costs(1e6, 5, 20), (), ()).runs
        > choose(model, rare, Costs(0, 5, 20), (), ()).runs
    )


def test_choice_keeps_away_from_the_skipped() -> None:
    model = Model(LINE)
    belief = infer(model, {LINE.newer_end: Tally(20, 10)})
    first = choose(model, belief, Costs(), (), ()).row
    second = choose(model, belief, Costs(), (), {first}).row
    assert abs(first - second) > 1


@pytest.mark.parametrize("culprit", [0, 1, 16, 30, 31])
@pytest.mark.parametrize("q", [1.0, 0.5, 0.2])
def test_finds_the_culprit(culprit: int, q: float) -> None:
    answer = simulate(Model(LINE), culprit, q, seed=culprit).answer()
    assert answer.culprit == f"c{culprit}"
    assert answer.confirmed
    assert answer.posterior >= 0.95
    assert answer.suspects[0] == (answer.culprit, answer.posterior)


@pytest.mark.parametrize("culprit", range(7))
def test_finds_culprits_in_and_beside_merges(culprit: int) -> None:
    assert simulate(Model(MERGE), culprit, 0.5, seed=culprit).answer().culprit == f"c{culprit}"


@pytest.mark.parametrize("culprit", [0, 13, 31])
def test_finds_the_fix(culprit: int) -> None:
    answer = simulate(Model(LINE, fix=True), culprit, 0.5, seed=culprit).answer()
    assert answer.culprit == f"c{culprit}"
    assert answer.confirmed


def test_says_that_nobody_did_it() -> None:
    answer = simulate(Model(LINE), None, 0.5, seed=3).answer()
    assert answer.done
    assert answer.culprit is None
    assert answer.no_culprit >= 0.95
    never = simulate(Model(LINE), 5, 0.0, seed=3, settings=Settings(learn_runs=300)).answer()
    assert never.culprit is None


def test_skips_what_cannot_be_run_and_names_who_is_left() -> None:
    answer = simulate(Model(LINE), 13, 0.5, seed=1, broken=("c12", "c13")).answer()
    assert answer.done
    assert answer.culprit is None
    assert {name for name, _ in answer.suspects} == {"c12", "c13", "c14"}
    far = simulate(Model(LINE), 20, 0.5, seed=1, broken=("c12", "c13", "c15")).answer()
    assert far.culprit == "c20"


def test_a_failing_end_that_cannot_run_is_an_error() -> None:
    bisection = Bisection(Model(LINE))
    bisection.observe("c31", Result.SKIP)
    with pytest.raises(UserError, match="c31"):
        bisection.request()


def test_a_failing_end_that_could_not_run_is_tried_again_by_who_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(UserError, match="c31"):
        drive(Bisection(Model(LINE)), lambda _revision, _runs: Result.SKIP, log)
    answer = drive(
        Bisection(Model(LINE)),
        lambda revision, _runs: Result.BAD if int(revision[1:]) >= 12 else Result.GOOD,
        log,
    )
    assert answer.culprit == "c12"
    assert "skip" not in log.read_text()


def test_a_revision_whose_runs_say_nothing_is_skipped() -> None:
    bisection = simulate(Model(LINE), 13, 1.0, seed=1)
    fresh = Bisection(Model(LINE))
    while fresh.request().phase is Phase.LEARN:
        fresh.observe("c31", Result.BAD)
    useless = fresh.request().revision
    for _ in range(5):
        assert fresh.request().revision == useless
        fresh.observe(useless, Result.VOID)
    assert fresh.request().revision != useless
    assert bisection.answer().runs[Phase.SEARCH] < 60


def test_it_is_a_fold_over_observations() -> None:
    bisection, seen = Bisection(Model(LINE)), []
    generator = np.random.default_rng(5)
    for _ in range(40):
        name = bisection.request().revision
        fails = LINE.contains(LINE.rows[name])[11]
        result = Result.BAD if generator.random() < 0.3 * fails else Result.GOOD
        seen.append((name, result))
        bisection.observe(name, result)
    again = Bisection(Model(LINE))
    for name, result in seen:
        again.observe(name, result)
    assert again.request() == bisection.request()
    assert again.answer() == bisection.answer()


@pytest.mark.parametrize("culprit", [3, 13, 30])
def test_what_may_be_asked_for_next_is_known_before_a_revision_s_runs(culprit: int) -> None:
    """Where each failure shows at once, one of the two is what is asked for indeed."""
    bisection = Bisection(Model(LINE), Settings(learn_failures=2))
    guesses: list[tuple[str, ...]] = []
    revisions: list[str] = []
    while request := bisection.request():
        if request.revision not in revisions[-1:]:
            before = bisection.answer()
            revisions.append(request.revision)
            guesses.append(bisection.following())
            assert (bisection.request(), bisection.answer()) == (request, before)
        fails = LINE.contains(LINE.rows[request.revision])[culprit]
        bisection.observe(request.revision, Result.BAD if fails else Result.GOOD)
    assert len(revisions) > 4
    assert all(len(found) <= 2 for found in guesses)
    missed = [n for n, name in enumerate(revisions[1:]) if name not in guesses[n]]
    assert len(missed) <= 1  # the search may end, and its proof begin, within the runs


def test_requests_last_until_a_failure() -> None:
    bisection = Bisection(Model(LINE), Settings(learn_failures=2))
    assert bisection.request() == Request("c31", 2, Phase.LEARN)
    bisection.observe("c31", Result.BAD)
    bisection.observe("c31", Result.GOOD)
    bisection.observe("c31", Result.BAD)
    first = bisection.request()
    assert first.phase is Phase.SEARCH
    bisection.observe(first.revision, Result.GOOD)
    if first.runs > 1:
        assert bisection.request() == Request(first.revision, first.runs - 1, Phase.SEARCH)
    with pytest.raises(UserError):
        bisection.observe("nowhere", Result.GOOD)


def test_a_prior_that_points_to_the_culprit_saves_runs() -> None:
    weights = tuple(20.0 if number == 13 else 1.0 for number in range(32))
    runs = [
        sum(
            simulate(Model(LINE, weights=prior), 13, 0.3, seed=seed).answer().runs[Phase.SEARCH]
            for seed in range(6)
        )
        for prior in (weights, ())
    ]
    assert runs[0] < 0.8 * runs[1]


def test_mostly_right_with_unrelated_failures() -> None:
    generator = np.random.default_rng(99)
    wrong = 0
    for seed in range(25):
        culprit = int(generator.integers(32))
        answer = simulate(Model(LINE), culprit, 0.3, seed=seed, unrelated=0.005).answer()
        wrong += answer.culprit != f"c{culprit}"
    assert wrong <= 3


def test_a_decision_over_ten_thousand_commits_is_quick() -> None:
    dag = Dag.line([str(number) for number in range(10_000)], "old")
    bisection = Bisection(Model(dag))
    bisection.observe("9999", Result.BAD)
    for _ in range(30):
        bisection.observe("9999", Result.BAD)
    started = time.process_time()
    request = bisection.request()
    assert 1000 < int(request.revision) < 9000
    assert time.process_time() - started < 10


def test_a_kernel_that_is_there_is_preferred_to_one_next_to_it() -> None:
    def first_search(ready: tuple[str, ...]) -> str:
        costs = Costs(build=300.0, boot=5.0, run=5.0)
        bisection = Bisection(
            Model(Dag.line([f"c{number}" for number in range(32)], "old")),
            Settings(costs=costs),
            ready,
        )
        while (request := bisection.request()) and bisection.phase is Phase.LEARN:
            bisection.observe(request.revision, Result.BAD)
        assert request is not None
        return request.revision

    plain = first_search(())
    near = f"c{int(plain[1:]) + 3}"
    assert first_search((near,)) == near
