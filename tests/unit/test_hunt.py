# SPDX-License-Identifier: GPL-2.0-only
"""Orders of hits: made small, named and proven on a guest whose vCPUs are lists."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_guest import FakeGuest, FakeOracle
from mmrace.definitions.race import load_race, race_names
from mmrace.definitions.witness import Step, witness_place
from mmrace.errors import UserError
from mmrace.hunting import order
from mmrace.hunting import proof as proving
from mmrace.hunting.minimise import Trial, minimise, parts
from mmrace.hunting.order import Hit, steps
from mmrace.hunting.proof import Proof, Prover
from mmrace.symbols.resolve import Resolved

A, B = "p1.1", "p1.2"
PROGRAMS = {A: [1, 10, 11, 2], B: [3, 20, 21, 4]}
# A stands before its 11 while B goes on: of these the last two matter.
HITS = (
    Hit("V1", "entry of f20"),
    Hit("V0", "entry of f10"),
    Hit("V1", "entry of f21"),
    Hit("V0", "entry of f11"),
    Hit("V1", ""),
)


def between(trace):
    """B's 20 and 21 both between A's 10 and 11: what alternate turns never give."""
    chosen = [item for item in trace if item[1] in (10, 11, 20, 21)]
    return any(
        chosen[at : at + 3] == [(A, 10), (B, 20), (B, 21)]
        for at in range(max(0, len(chosen) - 400), len(chosen))
    )


class Thirdly:
    """The same, each third time."""

    def __init__(self):
        self.times, self.seen = 0, False

    def __call__(self, trace):
        before, self.seen = self.seen, between(trace)
        self.times += self.seen and not before
        return self.seen and self.times % 3 == 0


def resolver():
    def resolve(texts):
        return Resolved(texts[0], (int(texts[0].rpartition("f")[2]),))

    return SimpleNamespace(resolve=resolve)


def spec():
    names = {name: SimpleNamespace(name=name) for name in ("race", "workload", "machine")}
    return SimpleNamespace(**names, seed=1, kernel_id="k", release="6.1")


def prover(monkeypatch, guest, other=None, names=lambda _point: ()):
    monkeypatch.setattr(proving, "Oracle", lambda *_: FakeOracle())
    monkeypatch.setattr(proving, "PACES", ((0.05, 0.005),))
    monkeypatch.setattr(proving, "PATIENCE", 0.05)
    monkeypatch.setattr(proving, "SURE_SECONDS", 0.5)
    monkeypatch.setattr(proving, "PROOF_SECONDS", 0.1)
    boot = partial(nullcontext, other or guest)
    return Prover(guest, boot, spec(), resolver(), "found by a test", names)


def prove(made, hits=HITS):
    made.calibrate()
    return made.prove(hits, 20, lambda _text: None)


def test_steps_are_where_each_run_of_hits_ends():
    hits = [Hit("V0", "entry of a"), Hit("V0", "entry of b"), Hit("V0", "entry of b")]
    hits += [Hit("V1", "entry of c"), Hit("V0", "entry of d")]
    assert steps(tuple(hits)) == (
        Step(actor="V0", point="entry of b", hit=2),
        Step(actor="V1", point="entry of c"),
        Step(actor="V0", point="entry of d"),
    )


def trial(fails):
    return lambda order: Trial(fails(order), len(order))


def test_what_is_minimised_fails_and_nothing_less_does():
    names = "abacdabcbad"
    hits = tuple(Hit(f"V{n % 2}", f"entry of {name}") for n, name in enumerate(names))

    def fails(order):
        points = [step.point[0][-1] for step in order]
        return "c" in points and "d" in points and points.index("c") < len(points) - 1

    least = minimise(hits, trial(fails))
    assert least is not None
    assert fails(least)
    assert len(least) == 2


def test_an_order_that_does_not_fail_again_has_no_least_part():
    hits = (Hit("V0", "entry of a"), Hit("V1", "entry of b"))
    assert minimise(hits, trial(lambda _order: False)) is None


def test_some_late_steps_of_a_walk_are_tried_first():
    hits = tuple(Hit(f"V{n % 2}", f"entry of {name}") for n, name in enumerate("abcd"))
    names = ["".join(step.point[0][-1] for step in order) for order in parts(hits)]
    assert names == ["bcd", "cd", "abc", "bc", "ad", "ab", "abcd"]


def test_who_went_on_without_a_hit_is_a_step_of_its_own():
    hits = [Hit("V0", "entry of a"), Hit("V1", "entry of b"), Hit("V1", "")]
    hits += [Hit("V0", "entry of a")]
    assert steps(tuple(hits)) == (
        Step(actor="V0", point="entry of a"),
        Step(actor="V1", point="entry of b"),
        Step(actor="V1", seconds=0.3),
        Step(actor="V0", point="entry of a"),
    )
    tried = []
    minimise(tuple(hits[1:]), lambda order: tried.append(order) or Trial(False, len(order)))
    assert all(order[0].point for order in tried)


def test_hits_are_counted_from_the_actor_s_step_before():
    hits = tuple(Hit(f"V{name in 'xy'}", f"entry of {name}") for name in "axaybxac")
    counts = [[(s.point[0][-1], s.hit) for s in found] for found in parts(hits)]
    assert [("a", 3), ("x", 2), ("c", 1)] not in counts
    assert [("x", 2), ("c", 1)] in counts
    assert [("b", 1), ("x", 2), ("c", 1)] in counts
    assert [("b", 1), ("x", 1), ("c", 1)] in counts
    assert [("a", 2), ("y", 1), ("b", 1), ("x", 1)] in counts


def test_nothing_is_tried_that_begins_as_what_could_not_be_carried_out():
    hits = tuple(Hit(f"V{n % 2}", f"entry of {name}") for n, name in enumerate("abcdef"))
    tried = []

    def attempt(order):
        tried.append("".join(step.point[0][-1] for step in order))
        return Trial(False, 1)

    assert minimise(hits, attempt) is None
    assert tried
    assert len({order[:2] for order in tried}) == len(tried)


def test_a_step_that_was_not_needed_for_the_failure_is_one_of_going_on():
    hits = tuple(Hit(f"V{n % 2}", f"entry of {name}") for n, name in enumerate("abc"))

    def attempt(order):
        if order[-1].seconds:
            return Trial([step.actor for step in order] == ["V1", "V0"], len(order))
        return Trial(False, 1, early=order[0].point == ("entry of b",))

    assert minimise(hits, attempt) == (
        Step(actor="V1", point="entry of b"),
        Step(actor="V0", seconds=0.3),
    )


def test_an_order_that_fails_sometimes_may_want_the_other_to_go_on_first():
    hits = tuple(Hit(f"V{n}", f"entry of {name}") for n, name in enumerate("ab"))

    def attempt(order):
        return Trial(len(order) == 3 and order[2].seconds > 0, len(order), shown=True)

    assert minimise(hits, attempt) == (
        Step(actor="V0", point="entry of a"),
        Step(actor="V1", point="entry of b"),
        Step(actor="V0", seconds=0.3),
    )


def test_an_order_is_first_tried_with_each_point_s_first_hit():
    hits = tuple(Hit(f"V{name in 'xy'}", f"entry of {name}") for name in "axaaybxac")
    counted = [max(step.hit for step in found) > 1 for found in parts(hits)]
    assert any(counted)
    assert counted == sorted(counted)


def test_a_task_is_named_where_more_than_one_step_is_its_own():
    hits = [Hit("V0", "entry of a", "T0"), Hit("V1", "entry of b", "T1")]
    hits += [Hit("V0", "entry of c", "T0")]
    least = minimise(tuple(hits), trial(lambda order: len(order) == 3))
    assert least is not None
    assert [step.task for step in least] == ["T0", "", "T0"]


def test_a_run_of_hits_counts_those_of_the_last_one_s_task():
    hits = [Hit("V0", "entry of a", task) for task in ("T0", "T1", "T0")]
    assert steps(tuple(hits)) == (Step(actor="V0", point="entry of a", hit=2, task="T0"),)


def test_a_walk_that_failed_before_its_first_hit_has_no_order():
    assert minimise((), trial(lambda _order: True)) is None


def test_what_fails_is_proven_and_small(monkeypatch):
    found = prove(prover(monkeypatch, FakeGuest(PROGRAMS, between, loop=True)))
    assert found
    assert len(found.order) <= 3
    assert found.proof.holds
    assert found.proof.shown == len(found.proof.replays) == proving.PROOFS
    assert found.witness.step == found.order


def test_what_fails_when_an_order_is_carried_out_again_is_proven_too(monkeypatch):
    """As where one of several objects is the right one."""
    monkeypatch.setattr(order, "GOES_ON", 0.01)
    made = prover(monkeypatch, FakeGuest(PROGRAMS, Thirdly(), loop=True))
    monkeypatch.setattr(proving, "PROOF_SECONDS", 0.5)
    found = prove(made)
    assert found
    assert found.proof.holds
    assert max(replay.completions for replay in found.proof.replays) > 1


def test_hits_that_do_not_fail_again_prove_nothing(monkeypatch):
    guest = FakeGuest(PROGRAMS, lambda _trace: False, loop=True)
    assert prove(prover(monkeypatch, guest)) is None


def test_what_fails_without_its_order_as_well_is_not_proven(monkeypatch):
    """The other boot's machines fail whatever is done; this one's when the order is carried out."""
    other = FakeGuest(PROGRAMS, lambda trace: len(trace) > 2, loop=True)
    found = prove(prover(monkeypatch, FakeGuest(PROGRAMS, between, loop=True), other))
    assert found
    assert found.proof.unheld == proving.PROOFS
    assert not found.proof.holds


def test_what_fails_from_one_snapshot_only_is_not_proven(monkeypatch):
    other = FakeGuest(PROGRAMS, lambda _trace: False, loop=True)
    found = prove(prover(monkeypatch, FakeGuest(PROGRAMS, between, loop=True), other))
    assert found
    assert found.proof.shown == 0
    assert not found.proof.holds
    assert other.restores > proving.PROOFS


def test_a_point_gets_the_first_name_with_which_the_order_still_fails(monkeypatch):
    """The first name leads to the wrong place, the second one to the right one."""
    guest = FakeGuest(PROGRAMS, between, loop=True)

    def names(point):
        return ("entry of f2", f"return of f{point.rpartition('f')[2]}")

    found = prove(prover(monkeypatch, guest, names=names))
    assert found
    points = [step.point[0] for step in found.order if step.point]
    assert points
    assert all(text.startswith("return of") for text in points)


@pytest.mark.parametrize(
    ("shown", "unheld", "holds"),
    [(20, 10, True), (18, 12, False), (17, 0, False), (20, None, True)],
)
def test_an_order_has_to_fail_nearly_always_and_more_often_than_none(shown, unheld, holds):
    replays = [SimpleNamespace(shown=n < shown, attempts=(None,)) for n in range(20)]
    assert Proof(tuple(replays), unheld).holds is holds


def test_a_race_that_shows_of_itself_gets_less_time_to(monkeypatch):
    made = prover(monkeypatch, FakeGuest(PROGRAMS, lambda _trace: True, loop=True))
    monkeypatch.setattr(proving, "PACES", ((0.04, 0.05), (0.02, 0.01)))
    assert made.calibrate() == proving.CONTROLS
    assert made.witness(steps(HITS)).settle == 0.01


@pytest.mark.parametrize("out", ["/dev/null", "no/such/directory/w.toml"])
def test_a_witness_is_not_written_where_no_file_can_be(out):
    with pytest.raises(UserError, match=out.partition("/w")[0]):
        witness_place(Path(out), "race")


@pytest.mark.parametrize("name", race_names())
def test_a_hunt_takes_the_workload_that_the_race_names_for_it(name):
    race = load_race(name)
    assert race.hunted_workload() == (
        race.find_workload(race.hunt) if race.hunt else race.workload[0]
    )


def test_a_race_that_names_no_such_workload_says_which_it_has():
    race = load_race("khugepaged-retract").model_copy(update={"hunt": "collapse-slow"})
    with pytest.raises(UserError, match="no workload named 'collapse-slow'; it has: "):
        race.hunted_workload()
