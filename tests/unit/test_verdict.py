# SPDX-License-Identifier: GPL-2.0-only
import math

import numpy as np
import pytest

from mmrace.errors import UserError
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.rates import clean_runs, interval, upper_bound
from mmrace.verdicts.sight import Sight, sight
from mmrace.verdicts.signtest import SignTest
from mmrace.verdicts.verdict import Arm, Rules, Verdict

PASS = Judgement(Outcome.PASS)
BUG = Judgement(Outcome.CRASH, "kernel BUG in a", signature_matched=True)
FOREIGN = Judgement(Outcome.CRASH, "WARNING in b")
HANG = Judgement(Outcome.HANG)
IDLE = Judgement(Outcome.NOT_EXERCISED)
INFRA = Judgement(Outcome.INFRA)


def campaign(*pairs: tuple[Judgement, Judgement], **rules: float) -> SignTest:
    made = SignTest(Rules(**rules))  # type: ignore[arg-type]
    for before, after in pairs:
        made.record(before, after)
    return made


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (PASS, Sight.HELD),
        (BUG, Sight.SIGNATURE),
        (FOREIGN, Sight.OTHER),
        (HANG, Sight.OTHER),
        (IDLE, Sight.OTHER),
        (INFRA, Sight.VOID),
        (Judgement(Outcome.INFEASIBLE), Sight.VOID),
        (Judgement(Outcome.FAIL, signature_matched=True), Sight.SIGNATURE),
        (Judgement(Outcome.PASS, signature_matched=True), Sight.HELD),
    ],
)
def test_sight(judgement: Judgement, expected: Sight) -> None:
    assert sight(judgement) is expected


def test_ten_discordant_pairs_are_fixed_at_one_in_a_thousand() -> None:
    made = campaign(*[(BUG, PASS)] * 9, (PASS, PASS))
    assert not made.done
    assert made.statement().verdict is Verdict.INCONCLUSIVE
    made.record(BUG, PASS)
    statement = made.statement()
    assert made.done
    assert statement.verdict is Verdict.FIXED
    assert statement.p_value == 2**-10
    assert (statement.before.failures, statement.before.runs) == (10, 11)
    assert statement.rate_bound_after == pytest.approx(1 - 0.001 ** (1 / 11))
    assert statement.more_runs == 0


def test_one_signature_failure_after_is_not_fixed() -> None:
    made = campaign(*[(BUG, PASS)] * 3, (PASS, BUG))
    assert made.done
    statement = made.statement()
    assert statement.verdict is Verdict.NOT_FIXED
    assert statement.p_value == 1
    assert statement.ratio_bound is None


def test_a_signature_failure_counts_even_when_its_partner_is_void() -> None:
    assert campaign((INFRA, BUG)).statement().verdict is Verdict.NOT_FIXED


@pytest.mark.parametrize("after", [HANG, FOREIGN, IDLE])
def test_other_trouble_on_after_forbids_fixed(after: Judgement) -> None:
    made = campaign(*[(BUG, PASS)] * 20, (PASS, after))
    statement = made.statement()
    assert statement.verdict is Verdict.INCONCLUSIVE
    assert statement.p_value <= 2**-20
    assert [(other.outcome, other.before, other.after) for other in statement.after_other] == [
        (after.outcome, 0, 1)
    ]
    assert statement.more_runs is None


@pytest.mark.parametrize("both", [HANG, FOREIGN, IDLE])
def test_trouble_that_before_shows_as_well_does_not(both: Judgement) -> None:
    statement = campaign(*[(BUG, PASS)] * 10, (both, PASS), (PASS, both)).statement()
    assert statement.verdict is Verdict.FIXED
    assert statement.others
    assert not statement.after_other


def test_another_foreign_crash_is_not_the_same_trouble() -> None:
    other = Judgement(Outcome.CRASH, "deadlock in c")
    statement = campaign(*[(BUG, PASS)] * 10, (FOREIGN, other)).statement()
    assert [one.title for one in statement.after_other] == ["deadlock in c"]


@pytest.mark.parametrize("after", [HANG, FOREIGN, IDLE, INFRA])
def test_only_an_exercised_pass_is_evidence(after: Judgement) -> None:
    assert campaign(*[(BUG, after)] * 9).statement().discordant == 0


def test_void_runs_count_for_neither_side_but_spend_the_budget() -> None:
    made = campaign(*[(INFRA, PASS)] * 5, *[(BUG, INFRA)] * 5, pairs=10)
    statement = made.statement()
    assert statement.discordant == 0
    assert statement.void == 10
    assert made.done


def test_certain_trouble_ends_the_campaign_before_its_budget() -> None:
    made = campaign(*[(PASS, HANG)] * 9)
    assert not made.done
    made.record(PASS, HANG)
    assert made.done
    assert made.statement().verdict is Verdict.INCONCLUSIVE


def test_a_workload_that_shows_nothing_is_inconclusive() -> None:
    made = campaign(*[(PASS, PASS)] * 20, pairs=20)
    statement = made.statement()
    assert made.done
    assert statement.verdict is Verdict.INCONCLUSIVE
    assert statement.p_value == 1
    assert statement.more_runs is None
    # 95 % sure that at most one pair in six is discordant, so 10 take 60 pairs or more
    assert statement.more_runs_at_least == 2 * math.ceil(10 / (1 - 0.025 ** (1 / 20)))


def test_more_runs_follow_the_share_of_discordant_pairs() -> None:
    statement = campaign(*[(BUG, PASS)] * 4, *[(PASS, PASS)] * 4).statement()
    assert statement.more_runs == 2 * 6 * 2
    assert 12 <= statement.more_runs_at_least <= statement.more_runs


def test_a_ratio_below_one_takes_more_pairs() -> None:
    assert Rules().needed == 10
    assert Rules(alpha=2**-10).needed == 10
    assert Rules(ratio=0.5).needed == 18
    statement = campaign(*[(BUG, PASS)] * 18, ratio=0.5).statement()
    assert statement.verdict is Verdict.FIXED
    assert statement.ratio_bound is not None
    assert statement.ratio_bound <= 0.5


def test_a_rate_asked_for_takes_more_clean_runs() -> None:
    made = campaign(*[(BUG, PASS)] * 12, rate=0.25)
    statement = made.statement()
    assert statement.verdict is Verdict.INCONCLUSIVE
    assert statement.more_runs == 2 * (25 - 12)
    for _ in range(13):
        made.record(PASS, PASS)
    assert made.statement().verdict is Verdict.FIXED


def test_pairs_are_in_random_but_repeatable_order() -> None:
    orders = []
    made = SignTest(Rules(seed=7))
    for index in range(200):
        pair = made.next_pair()
        assert pair == made.next_pair()
        assert pair.index == index
        orders.append(pair.order[0])
        made.record(PASS, PASS)
    assert 70 < orders.count(Arm.BEFORE) < 130
    again = SignTest(Rules(seed=7))
    assert again.next_pair().order[0] is orders[0]
    assert SignTest(Rules(seed=8)).next_pair() != again.next_pair()


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"alpha": 1}, {"ratio": 2}, {"pairs": 0}])
def test_rules_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Rules(**wrong)  # type: ignore[arg-type]


def test_an_unfixed_kernel_is_rarely_called_fixed() -> None:
    generator = np.random.default_rng(20240607)
    fixed = 0
    for seed in range(1000):
        made = SignTest(Rules(alpha=1 / 32, pairs=400, seed=seed))
        while not made.done:
            fails = generator.random(2) < 0.2
            made.record(*(BUG if fail else PASS for fail in fails))
        fixed += made.statement().verdict is Verdict.FIXED
    # (0.16 / 0.36)^5 of 1000, 17 on average: a pair that fails on both sides is against the fix
    assert 5 <= fixed <= 31


def test_intervals() -> None:
    rate = interval(20, 5)
    assert (rate.low, rate.high) == pytest.approx((0.0866, 0.4910), abs=1e-4)
    assert (interval(0, 0).low, interval(0, 0).high) == (0, 1)
    assert upper_bound(0, 0, 0.05) == 1
    assert upper_bound(100, 0, 0.001) == pytest.approx(1 - 0.001**0.01)
    assert upper_bound(100, 0, 0.001) < -math.log(0.001) / 100
    assert clean_runs(0.01, 0.001) == 688
    assert upper_bound(688, 0, 0.001) <= 0.01 < upper_bound(687, 0, 0.001)
    assert clean_runs(1, 0.001) == 0
