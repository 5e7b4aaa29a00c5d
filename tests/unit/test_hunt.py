# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules, what they find on a guest whose vCPUs are lists, and how that is made small."""

from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_guest import FakeGuest, FakeOracle
from mmrace.cli.hunting import _place
from mmrace.definitions.race import load_race, race_names
from mmrace.definitions.witness import Step
from mmrace.errors import UserError
from mmrace.experiments.hunt import _told
from mmrace.guests.turns import Turns
from mmrace.hunting import hunt as hunting
from mmrace.hunting.explore import Explorer
from mmrace.hunting.hunt import Hunter, Search, choose_points
from mmrace.hunting.minimise import Trial, minimise, parts
from mmrace.hunting.order import Hit, steps
from mmrace.hunting.pct import Schedule, bound, draw, missed, pick, picked
from mmrace.symbols.resolve import Gate, Resolved

A, B = "p1.1", "p1.2"
POINTS = {at: f"entry of f{at}" for at in (10, 11, 20, 21)}
PROGRAMS = {A: [1, 10, 11, 2], B: [3, 20, 21, 4]}


def between(trace):
    """B's 20 and 21 both between A's 10 and 11: what alternate turns never give."""
    told = [item for item in trace if item[1] in POINTS]
    return any(
        told[at : at + 3] == [(A, 10), (B, 20), (B, 21)]
        for at in range(max(0, len(told) - 400), len(told))
    )


def resolver():
    def resolve(texts):
        return Resolved(texts[0], (int(texts[0].removeprefix("entry of f")),))

    return SimpleNamespace(resolve=resolve)


def spec():
    names = {name: SimpleNamespace(name=name) for name in ("race", "workload", "machine")}
    return SimpleNamespace(**names, seed=1, kernel_id="k", release="6.1")


def hunter(monkeypatch, guest, other=None, **search):
    monkeypatch.setattr(hunting, "Oracle", lambda *_: FakeOracle())
    monkeypatch.setattr(hunting, "WALK_SECONDS", 0.2)
    monkeypatch.setattr(hunting, "PACES", ((0.05, 0.005),))
    monkeypatch.setattr(hunting, "PATIENCE", 0.05)
    monkeypatch.setattr(hunting, "SURVEY_SECONDS", 0.1)
    monkeypatch.setattr(hunting, "PROOF_SECONDS", 0.1)
    fields = {"functions": ("f",), "depth": 2, "hits": 12, "seconds": 20, "seed": 7, **search}
    boot = partial(nullcontext, other or guest)
    return Hunter(guest, boot, spec(), resolver(), dict(POINTS), Search(**fields))


def test_a_seed_determines_a_schedule():
    assert draw(3, 2, 40, 3) == draw(3, 2, 40, 3)
    assert len({draw(seed, 2, 40, 3) for seed in range(50)}) > 40


def test_each_priority_and_each_change_has_its_chance():
    drawn = [draw(seed, 2, 4, 2) for seed in range(800)]
    seen = Counter((one.priorities[0], one.changes) for one in drawn)
    assert len(seen) == 8
    # 8 equal chances; a smaller count than 60 has a chance of 2e-6 each
    assert min(seen.values()) > 60


def test_who_falls_is_below_all_others_and_all_that_fell_before():
    schedule = Schedule((1, 0), (3, 5))
    assert [schedule.fallen(hit) for hit in (1, 3, 5)] == [None, -1, -2]


def test_the_bound_is_that_of_the_paper():
    assert bound(2, 40, 3) == pytest.approx(1 / 3200)
    assert bound(2, 40, 1) == pytest.approx(1 / 2)
    assert missed(bound(2, 10, 2), 20) == pytest.approx(0.95**20)


def test_the_points_of_a_schedule_are_some_of_all():
    points = [f"entry of f{number}" for number in range(40)]
    drawn = [pick(seed, points, 16) for seed in range(400)]
    assert {len(found) for found in drawn} == {16}
    assert pick(3, points, 16) == drawn[3]
    both = sum(set(points[7:9]) <= found for found in drawn) / len(drawn)
    # 0.154; a share beyond these has a chance of less than 1e-3
    assert 0.09 < both < 0.22
    assert pick(1, points[:4], 16) == frozenset(points[:4])


def test_a_bug_s_points_have_to_be_drawn():
    assert picked(40, 16, 3) == pytest.approx(16 / 40 * 15 / 39)
    assert picked(4, 16, 3) == picked(40, 16, 1) == 1
    assert picked(40, 1, 3) == 0


def test_who_falls_waits_until_the_others_have_gone_on():
    guest = FakeGuest({A: [10, 11, 2], B: [20, 21]})
    turns = Turns(guest, FakeOracle())
    walk = Explorer(turns, POINTS, 4).walk(Schedule((1, 0), (2,)), 1, 0.001)
    assert [hit.point[-2:] for hit in walk.hits] == ["10", "11", "20", "21"]
    assert guest.trace.index((A, 11)) > guest.trace.index((B, 20))


def a_waits(programs):
    """A guest in which A waits at 30 until B has come past 5."""
    guest = FakeGuest(programs)
    plain = guest.pc

    def waits(thread):
        at = plain(thread)
        return 0 if at == 30 and (B, 5) not in guest.trace else at

    guest.pc = waits
    return guest


def test_one_that_waits_for_a_held_one_is_helped():
    guest = a_waits({A: [10, 30, 11], B: [20, 5, 21]})
    walk = Explorer(Turns(guest, FakeOracle()), POINTS, 4).walk(Schedule((1, 0), ()), 5, 0.001)
    assert walk.blocked >= 1
    assert walk.made == 4
    assert [hit.point[-2:] for hit in walk.hits] == ["10", "20", "", "21", "11"]


def test_who_waits_for_long_is_told_once():
    guest = a_waits({A: [10, 30, 11], B: [20, 21, 20, 5, 21]})
    walk = Explorer(Turns(guest, FakeOracle()), POINTS, 6).walk(Schedule((1, 0), ()), 5, 0.001)
    assert walk.blocked >= 3
    assert [hit.point[-2:] for hit in walk.hits] == ["10", "20", "", "21", "20", "21", "11"]


def test_a_held_one_that_is_helped_goes_alone():
    guest = a_waits({A: [10, 30, 11], B: [20, 5, 6, 21]})
    Explorer(Turns(guest, FakeOracle()), POINTS, 4).walk(Schedule((1, 0), ()), 5, 0.001)
    assert guest.trace.index((B, 6)) < guest.trace.index((A, 30))


def test_a_point_that_is_hit_all_the_time_does_not_use_up_a_schedule():
    guest = FakeGuest({A: [10] * 50 + [11], B: []})
    walk = Explorer(Turns(guest, FakeOracle()), POINTS, 20).walk(Schedule((1, 0), ()), 1, 0.001)
    assert walk.hits[-1].point == POINTS[11]


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
        told = [step.point[0][-1] for step in order]
        return "c" in told and "d" in told and told.index("c") < len(told) - 1

    least = minimise(hits, trial(fails))
    assert least is not None
    assert fails(least)
    assert len(least) == 2


def test_an_order_that_does_not_fail_again_has_no_least_part():
    hits = (Hit("V0", "entry of a"), Hit("V1", "entry of b"))
    assert minimise(hits, trial(lambda _order: False)) is None


def test_some_late_steps_of_a_walk_are_tried_first():
    hits = tuple(Hit(f"V{n % 2}", f"entry of {name}") for n, name in enumerate("abcd"))
    told = ["".join(step.point[0][-1] for step in order) for order in parts(hits)]
    assert told == ["bcd", "cd", "abc", "bc", "ad", "ab", "abcd"]


def test_who_went_on_without_a_hit_is_a_step_of_its_own():
    hits = [Hit("V0", "entry of a"), Hit("V1", "entry of b"), Hit("V1", "")]
    hits += [Hit("V0", "entry of a")]
    assert steps(tuple(hits)) == (
        Step(actor="V0", point="entry of a"),
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


@pytest.mark.parametrize(("shown", "tries"), [(8, 1), (10, 2)])
def test_a_witness_that_seldom_fails_does_not_end_a_hunt(monkeypatch, shown, tries):
    made = hunter(monkeypatch, FakeGuest(PROGRAMS, between, loop=True), seconds=1.5)
    found_so_far = []

    def seldom(_snapshot, order, times, seconds):
        found_so_far.append(order)
        attempts = (None,) * tries
        made = [
            SimpleNamespace(shown=n < shown, failed=True, attempts=attempts) for n in range(times)
        ]
        return iter(made)

    monkeypatch.setattr(hunting, "minimise", lambda hits, _attempt: steps(hits)[:1])
    monkeypatch.setattr(made, "_replays", seldom)
    found = made.run(lambda _text: None)
    assert found.witness
    assert found.tried.lost == found.tried.failures == len(found_so_far) >= 1
    assert found.tried.seconds >= 1.5


def test_a_walk_that_failed_before_its_first_hit_has_no_order():
    assert minimise((), trial(lambda _order: True)) is None


def test_a_hunt_ends_with_a_witness_that_fails(monkeypatch):
    found = hunter(monkeypatch, FakeGuest(PROGRAMS, between, loop=True)).run(lambda _text: None)
    assert found.witness, found.tried
    assert len(found.witness.step) <= 3
    assert sum(proof.failed for proof in found.proof.replays) == len(found.proof.replays)
    assert found.tried.failures >= 1


def test_what_fails_without_its_order_as_well_is_no_witness(monkeypatch):
    """The other boot's machines fail whatever is done; this one's when the order is carried out."""
    other = FakeGuest(PROGRAMS, lambda trace: len(trace) > 2, loop=True)
    guest = FakeGuest(PROGRAMS, between, loop=True)
    made = hunter(monkeypatch, guest, other, seconds=4)
    proofs = []
    prove = made._prove
    monkeypatch.setattr(made, "_prove", lambda order: proofs.append(prove(order)) or proofs[-1])
    found = made.run(lambda _text: None)
    assert any(proof.unheld == hunting.PROOFS for proof in proofs), proofs
    assert not any(proof.holds for proof in proofs)
    assert found.tried.lost == found.tried.failures


@pytest.mark.parametrize(
    ("shown", "unheld", "holds"),
    [(20, 10, True), (18, 12, False), (17, 0, False), (20, None, True)],
)
def test_an_order_has_to_fail_nearly_always_and_more_often_than_none(shown, unheld, holds):
    replays = [SimpleNamespace(shown=n < shown, attempts=(None,)) for n in range(20)]
    assert hunting.Proof(tuple(replays), unheld).holds is holds


def test_a_proof_that_holds_is_better_than_one_that_failed_as_often(monkeypatch):
    made = hunter(monkeypatch, FakeGuest(PROGRAMS, between, loop=True))
    shown = (SimpleNamespace(shown=True, attempts=(None,)),) * hunting.PROOFS
    proofs = [hunting.Proof(shown, hunting.PROOFS), hunting.Proof(shown, 0)]
    left = iter(proofs)
    monkeypatch.setattr(hunting, "minimise", lambda hits, _attempt: steps(hits)[:1])
    monkeypatch.setattr(made, "_prove", lambda _order: next(left))
    found = made.run(lambda _text: None)
    assert found.proof is proofs[1]
    assert found.tried.lost == 1


def test_what_is_not_proven_is_told_as_such():
    search = Search(("f",), 2, 12, 1.0, 7)
    witness = SimpleNamespace(step=(1, 2))
    replays = (SimpleNamespace(shown=True, attempts=(None,)),) * 20
    proven, lost = (
        hunting.Found(hunting.Tried(), search, witness, hunting.Proof(replays, unheld))
        for unheld in (0, 20)
    )
    assert _told(proven) == "a witness of 2 steps"
    assert _told(lost) == "a witness of 2 steps, not proven"
    assert _told(hunting.Found(hunting.Tried(), search)) == "none found"


def test_what_fails_from_one_snapshot_only_is_no_witness(monkeypatch):
    other = FakeGuest(PROGRAMS, lambda _trace: False, loop=True)
    guest = FakeGuest(PROGRAMS, between, loop=True)
    found = hunter(monkeypatch, guest, other, seconds=4).run(lambda _text: None)
    assert found.witness is None
    assert found.tried.lost == found.tried.failures >= 1
    assert other.restores > hunting.PROOFS


def test_a_race_that_shows_of_itself_gets_less_time_to(monkeypatch):
    guest = FakeGuest(PROGRAMS, lambda _trace: True, loop=True)
    made = hunter(monkeypatch, guest, seconds=1)
    monkeypatch.setattr(hunting, "PACES", ((0.04, 0.05), (0.02, 0.01)))
    monkeypatch.setattr(hunting.pct, "share", lambda _seed: 0)
    found = made.run(lambda _text: None)
    assert found.tried.control == hunting.CONTROLS
    assert found.witness
    assert found.witness.settle == 0.01
    assert found.tried.pace == 0.02


def test_places_inside_of_functions_are_left_out_where_nobody_comes(monkeypatch):
    made = hunter(monkeypatch, FakeGuest(PROGRAMS, lambda _trace: False, loop=True), seconds=0.1)
    never = {30: "after g in f", 31: "entry of f31", 32: "return of f32"}
    made._points |= never | {11: "after h in f"}
    made.run(lambda _text: None)
    assert set(made._points) == {*POINTS, 31, 32}
    assert made._tried.points == len(POINTS) + 2


def test_what_shows_before_a_schedule_begins_is_no_failure_of_it(monkeypatch):
    made = hunter(monkeypatch, FakeGuest(PROGRAMS, lambda _trace: True, loop=True), seconds=0.3)
    monkeypatch.setattr(hunting.pct, "share", lambda _seed: 1)
    found = made.run(lambda _text: None)
    assert found.tried.schedules == found.tried.early > 0
    assert found.tried.failures == 0


def test_a_hunt_that_finds_nothing_says_what_it_tried(monkeypatch):
    guest = FakeGuest(PROGRAMS, lambda _trace: False, loop=True)
    found = hunter(monkeypatch, guest, seconds=2).run(lambda _text: None)
    assert found.witness is None
    assert found.tried.schedules >= 2
    assert found.tried.hits > found.tried.schedules
    assert found.missed == pytest.approx((1 - 1 / 24) ** found.tried.schedules)


def test_points_are_edges_and_what_follows_calls():
    known = {
        "entry of f": Resolved("entry of f", (1,)),
        "return of f": Resolved("return of f", (9,), Gate((2,), (3,))),
        "after g in f": Resolved("after g in f", (5, 6)),
        "after h #1 in f": Resolved("after h #1 in f", (8,)),
        "after h #2 in f": Resolved("after h #2 in f", (7,)),
    }

    def resolve(texts):
        if texts[0] not in known:
            raise UserError(texts[0])
        return known[texts[0]]

    def occurrences(_function):
        kinds = (("g", 1, False, False), ("inlined", 2, True, False), ("tail", 9, False, True))
        twice = (("h", 3, True, False), ("h", 4, False, False), ("h", 5, False, False))
        made = (*kinds, *twice)
        return [SimpleNamespace(name=n, line=at, inlined=i, tail=t) for n, at, i, t in made]

    fake = SimpleNamespace(resolve=resolve, occurrences=occurrences, kernel="6.1")
    expected = {1: "entry of f", 5: "after g in f", 6: "after g in f", 7: "after h #2 in f"}
    assert choose_points(fake, ["f"]) == expected
    with pytest.raises(UserError, match="has nothing to hold at in h"):
        choose_points(fake, ["h"])


@pytest.mark.parametrize("out", ["/dev/null", "no/such/directory/w.toml"])
def test_a_witness_is_not_written_where_no_file_can_be(out):
    with pytest.raises(UserError, match=out.partition("/w")[0]):
        _place(Path(out))


@pytest.mark.parametrize("name", race_names())
def test_a_hunt_takes_the_workload_that_the_race_names_for_it(name):
    race = load_race(name)
    assert race.hunted_workload() == (
        race.find_workload(race.hunt) if race.hunt else race.workload[0]
    )


def test_a_race_that_names_no_such_workload_says_which_it_has():
    race = load_race("khugepaged-retract").model_copy(update={"hunt": "collapse-slow"})
    with pytest.raises(UserError, match="no workload 'collapse-slow'; it has: collapse-punch"):
        race.hunted_workload()
