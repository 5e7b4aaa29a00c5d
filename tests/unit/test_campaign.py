# SPDX-License-Identifier: GPL-2.0-only
"""The verdict over all paths of a race, and what it excludes."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrace.answers import verdict
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.campaign import Campaign, Combined
from mmrace.verdicts.exclusion import exclusions
from mmrace.verdicts.signtest import SignTest
from mmrace.verdicts.stress import Stress
from mmrace.verdicts.verdict import Arm, Pair, Rules, Verdict

PASS = Judgement(Outcome.PASS, stressed=30.0)
BUG = Judgement(Outcome.CRASH, "kernel BUG in a", signature_matched=True, stressed=0.5)
IDLE = Judgement(Outcome.NOT_EXERCISED)
INFRA = Judgement(Outcome.INFRA, "QEMU died")

Script = dict[str, list[tuple[Judgement, Judgement]]]


def drive(script: Script, **rules: float) -> tuple[Combined, list[Pair]]:
    """Run a campaign; the last pair of a path's script is repeated."""
    campaign = Campaign(Rules(**rules), list(script))  # type: ignore[arg-type]
    pairs: list[Pair] = []
    while not campaign.done:
        pair = campaign.next_pair()
        pairs.append(pair)
        made = script[pair.path]
        campaign.record(pair.path, *made[min(pair.index, len(made) - 1)])
    return campaign.statement(), pairs


def test_every_path_has_to_be_fixed() -> None:
    statement, pairs = drive({"missing": [(BUG, PASS)], "minor": [(BUG, PASS)]})
    assert statement.verdict is Verdict.FIXED
    assert statement.exit_code == 0
    assert Counter(pair.path for pair in pairs) == {"missing": 10, "minor": 10}
    assert "2 paths (missing, minor)" in statement.line


def test_a_failing_path_ends_it_at_once_and_is_named() -> None:
    statement, pairs = drive({"missing": [(BUG, PASS)], "minor": [(BUG, PASS), (BUG, BUG)]})
    assert statement.verdict is Verdict.NOT_FIXED
    assert statement.exit_code == 1
    assert len(pairs) == 4
    assert statement.line.startswith("NOT_FIXED: path minor: ")
    assert statement.weakest.path == "minor"
    assert statement.as_json()["p_value"] == 1


def test_a_path_that_cannot_tell_leaves_the_others_going() -> None:
    statement, pairs = drive({"deaf": [(PASS, PASS)], "minor": [(BUG, PASS)]}, pairs=12)
    assert statement.verdict is Verdict.INCONCLUSIVE
    assert statement.exit_code == 3
    assert Counter(pair.path for pair in pairs) == {"deaf": 12, "minor": 10}
    assert [one.verdict for one in statement.paths] == [Verdict.INCONCLUSIVE, Verdict.FIXED]
    assert "path deaf: only the kernel before failed in 0 of the 10" in statement.line
    assert "minor" not in statement.line


def test_a_narrowed_verdict_says_what_it_is_about() -> None:
    campaign = Campaign(Rules(), ["missing"], undecided=["minor"])
    for _ in range(10):
        campaign.record("missing", BUG, PASS)
    line = campaign.statement().line
    assert line.startswith("FIXED on missing alone: only the kernel before failed, in 10 pairs")
    assert line.endswith("not run: minor")
    assert campaign.statement().as_json()["paths_not_run"] == ["minor"]


def test_a_broken_host_ends_it_after_three_pairs() -> None:
    statement, pairs = drive({"missing": [(INFRA, PASS)], "minor": [(INFRA, INFRA)]})
    assert len(pairs) == 3
    assert statement.verdict is Verdict.INCONCLUSIVE
    assert statement.exit_code == 69
    assert "INFRA QEMU died" in statement.line


def test_a_path_that_the_host_spoils_ends_after_three_pairs_of_it() -> None:
    statement, pairs = drive({"missing": [(INFRA, INFRA)], "minor": [(BUG, PASS)]})
    assert Counter(pair.path for pair in pairs) == {"missing": 3, "minor": 10}
    assert statement.exit_code == 3


def test_a_host_that_recovers_costs_the_spoilt_pairs_alone() -> None:
    statement, pairs = drive({"": [(INFRA, INFRA), (BUG, INFRA), (BUG, PASS)]})
    assert statement.verdict is Verdict.FIXED
    assert len(pairs) == 12


def test_a_host_that_breaks_down_later_ends_it() -> None:
    statement, pairs = drive({"": [(BUG, PASS), (BUG, INFRA), (BUG, PASS), (INFRA, INFRA)]})
    assert len(pairs) == 3 + 5
    assert statement.line == (
        "INCONCLUSIVE: only the kernel before failed in 2 of the 10 pairs needed; "
        "the host spoilt the last 5: INFRA QEMU died"
    )


def test_failures_of_before_that_match_no_signature_are_said() -> None:
    foreign = Judgement(Outcome.CRASH, "KASAN: use-after-free in b")
    statement, _ = drive({"": [(IDLE, PASS), (foreign, PASS)]}, pairs=3)
    assert statement.line == (
        "INCONCLUSIVE: only the kernel before failed in 0 of the 10 pairs needed; "
        "its failures do not match the signature: CRASH KASAN: use-after-free in b (2 times)"
    )
    statement, _ = drive({"": [(BUG, PASS), (foreign, PASS)]}, pairs=3)
    assert statement.line.endswith("in 1 of the 10 pairs needed")


def test_one_path_is_judged_as_by_the_sign_test_alone() -> None:
    statement, _ = drive({"": [(BUG, PASS)]})
    alone = SignTest(Rules())
    while not alone.done:
        alone.record(BUG, PASS)
    assert statement.paths == (alone.statement(),)
    assert statement.line == "FIXED: only the kernel before failed, in 10 pairs"
    document = statement.as_json()
    assert {key: document[key] for key in ("verdict", "p_value", "void")} == {
        "verdict": "FIXED",
        "p_value": 2**-10,
        "void": 0,
    }


ENDS = st.sampled_from([PASS, BUG, IDLE, INFRA])
SCRIPTS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=25),
    min_size=1,
)


@settings(deadline=None, max_examples=40)
@given(SCRIPTS, st.integers(0, 2**32))
def test_the_verdict_is_the_intersection_of_its_paths(script: Script, seed: int) -> None:
    statement, pairs = drive(script, seed=seed, pairs=30, alpha=0.1)
    verdicts = {one.verdict for one in statement.paths}
    if Verdict.NOT_FIXED in verdicts:
        assert statement.verdict is Verdict.NOT_FIXED
    elif verdicts == {Verdict.FIXED}:
        assert statement.verdict is Verdict.FIXED
    else:
        assert statement.verdict is Verdict.INCONCLUSIVE
    # Each path by itself, over the pairs that it had, says the same.
    for one in statement.paths:
        own, made = SignTest(Rules(pairs=30, alpha=0.1), one.path), script[one.path]
        for pair in (pair for pair in pairs if pair.path == one.path):
            own.record(*made[min(pair.index, len(made) - 1)])
        assert own.statement() == one


@settings(deadline=None, max_examples=40)
@given(SCRIPTS, st.integers(0, 2**32))
def test_paths_take_turns_and_no_budget_is_passed(script: Script, seed: int) -> None:
    _, pairs = drive(script, seed=seed, pairs=30, alpha=0.1)
    campaign = Campaign(Rules(seed=seed, pairs=30, alpha=0.1), list(script))
    tried: Counter[str] = Counter(dict.fromkeys(script, 0))
    for pair in pairs:
        assert pair == campaign.next_pair()
        assert pair.index == tried[pair.path] < 30
        assert sorted(pair.order) == sorted(Arm)
        waiting = [test.tried for test in campaign._tests.values() if not test.done]
        assert tried[pair.path] == min(waiting)
        tried[pair.path] += 1
        made = script[pair.path]
        campaign.record(pair.path, *made[min(pair.index, len(made) - 1)])


def test_one_path_that_is_not_fixed_is_rarely_called_fixed() -> None:
    generator = np.random.default_rng(20261129)
    fixed = 0
    for seed in range(200):
        campaign = Campaign(Rules(alpha=1 / 32, pairs=200, seed=seed), ["held", "open"])
        while not campaign.done:
            path = campaign.next_pair().path
            before, after = generator.random(2) < 0.4
            after = after and path == "open"
            campaign.record(path, BUG if before else PASS, BUG if after else PASS)
        fixed += campaign.statement().verdict is Verdict.FIXED
    # (0.24 / 0.64)^5 of 200, 1.5 on average; 1 in 32 would be 6.25
    assert fixed <= 6


def test_what_fixed_excludes_is_said_in_words() -> None:
    statement, _ = drive({"": [(BUG, PASS)]})
    excluded, left, hazard = exclusions(statement.paths[0])
    assert "only before failed in 10 pairs: p = 2^-10 = 0.00098, exact" in excluded
    assert left == "not excluded: that it fails in less than 50 % of its runs (alpha 0.001)"
    assert "assuming a constant failure rate" in hazard
    assert "held for 300 s in the race phase, 600 times the median time to failure" in hazard
    assert statement.as_json()["paths"][0]["excludes"] == [excluded, left, hazard]
    # 10 failures in 5 s, none in 300 s: (0.001^(-1/10) - 1) * 5 / 300
    assert "below 0.017 times that of before" in hazard


def test_more_pairs_exclude_that_it_fails_a_share_as_often() -> None:
    statement, _ = drive({"": [(BUG, PASS)]}, ratio=0.1, pairs=200)
    (path,) = statement.paths
    left = exclusions(path)[1]
    assert path.ratio_bound is not None
    assert 0.05 < path.ratio_bound < 0.11
    assert left.endswith(
        f" and less than {path.ratio_bound:.2g} times as often as before (alpha 0.001)"
    )


def test_nothing_is_excluded_when_the_failure_was_seen_or_too_little_was() -> None:
    failed, _ = drive({"": [(BUG, BUG)]})
    assert exclusions(failed.paths[0]) == ()
    open_, _ = drive({"": [(BUG, PASS)] * 3 + [(IDLE, IDLE)]}, pairs=4)
    assert exclusions(open_.paths[0])[0].startswith("not excluded: ")


def test_the_median_counts_runs_that_something_else_ended() -> None:
    assert Stress().median is None
    assert Stress(1, (1.0, 3.0, 5.0)).median == 3.0
    assert Stress(1, (1.0,), (9.0, 9.0)).median is None
    assert Stress(1, (1.0, 4.0), (2.0, 3.0)).median == 4.0


@pytest.mark.parametrize("ratio", [0.05, 0.5])
def test_the_bound_of_time_under_stress_has_its_level(ratio: float) -> None:
    """With a constant hazard, the true ratio is above the bound in alpha of the campaigns."""
    generator, alpha, wrong, times = np.random.default_rng(7), 0.05, 0, 4000
    for _ in range(times):
        failed = tuple(generator.exponential(2.0, 10))
        clean = 40.0
        if generator.exponential(2.0 / ratio) > clean:
            bound = Stress(clean, failed).hazard_ratio_bound(alpha)
            assert bound is not None
            wrong += bound < ratio
    assert wrong <= alpha * times + 3 * math.sqrt(alpha * times)


def test_each_pair_says_how_many_of_those_needed_and_about_when_the_campaign_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign, statement, now = Campaign(Rules(), ["file"]), [], [0.0]
    monkeypatch.setattr(verdict.time, "monotonic", lambda: now[0])
    pace = verdict.Pace(statement.append)
    while not campaign.done:
        pair = campaign.next_pair()
        assert pair
        campaign.record(pair.path, BUG, PASS)
        now[0] += 21.3
        pace(pair, campaign.statement())
    assert statement[0] == "file: 1 of 10 needed pairs, p = 0.5 (pair 1)"
    expected = "file: 4 of 10 needed pairs, p = 0.062 (pair 4, about 2 min 08 s left)"
    assert statement[3] == expected
    assert statement[-1] == "file: 10 of 10 needed pairs, p = 0.00098 (pair 10)"
