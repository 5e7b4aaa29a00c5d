# SPDX-License-Identifier: GPL-2.0-only
"""Orders of steps, on a guest whose vCPUs are lists of addresses."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from fake_guest import FakeGuest, FakeOracle, SharedGuest, in_order
from mmrace.data import data_dir
from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import load_race
from mmrace.definitions.witness import Step, Witness, load_witness, save_witness
from mmrace.errors import UserError
from mmrace.guests.scheduler import Placed, Scheduler, place
from mmrace.symbols.resolve import Gate, Resolved

A, B = "p1.1", "p1.2"


def witness(*steps, **more):
    fields = {"patience": 0.05, "settle": 0.01, **more}
    return Witness(
        race="r",
        workload="w",
        machine="m",
        seed=1,
        found_on="k",
        release="6.1",
        step=steps,
        **fields,
    )


def replay(guest, *steps, **more):
    placed = tuple(
        Placed(step, frozenset(int(text.split("f")[-1]) for text in step.point)) for step in steps
    )
    return Scheduler(guest, witness(*steps, **more), placed, FakeOracle).replay(0)


def step(actor, address, **more):
    return Step(actor=actor, point=f"entry of f{address}", **more)


def test_vcpus_go_in_the_order_of_the_steps():
    guest = FakeGuest(
        {A: [1, 10, 11, 12], B: [2, 20, 21, 22]},
        fails=lambda trace: in_order(trace, (B, 20), (A, 11), (B, 21), (A, 12)),
    )
    done = replay(guest, step("M", 11), step("E", 21), step("M", 12), step("E", 22))
    assert done.failed
    assert done.complete
    assert not guest.breakpoints


def test_a_step_of_seconds_lets_its_actor_go_on_while_the_other_is_held():
    guest = FakeGuest(
        {A: [1, 10, 11], B: [2, 20, 21, 22]},
        fails=lambda trace: in_order(trace, (B, 22), (A, 11)),
    )
    done = replay(guest, step("M", 11), Step(actor="E", seconds=0.02))
    assert done.complete
    assert done.failed
    assert not replay(guest, step("M", 11)).failed


def test_after_a_step_of_seconds_the_actor_is_the_same_vcpu():
    guest = FakeGuest({A: [1, 10, 11, 12], B: [2, 20, 21, 22]})
    done = replay(guest, step("M", 10), Step(actor="M", seconds=0.01), step("M", 22))
    assert [attempt.steps for attempt in done.attempts] == [2]


@pytest.mark.parametrize("wrong", [{}, {"point": "entry of f", "seconds": 0.1}])
def test_a_step_has_a_point_or_seconds(wrong):
    with pytest.raises(ValidationError, match="either a point or seconds"):
        Step(actor="M", **wrong)


def test_a_witness_begins_with_a_hold():
    with pytest.raises(ValidationError, match="the first step needs a point"):
        witness(Step(actor="M", seconds=0.1))


def test_an_error_of_the_whole_file_names_the_file_and_no_empty_key(tmp_path):
    path = tmp_path / "w.toml"
    save_witness(path, witness(step("M", 1)))
    path.write_text(path.read_text().replace('point = "entry of f1"', "seconds = 0.1"))
    with pytest.raises(UserError, match=r"w\.toml: Value error, the first step needs a point"):
        load_witness(path)


def test_a_guest_that_powers_off_amid_the_order_is_asked_for_its_last_words():
    """They are read after the stop that tells of the end, as from a socket."""
    guest = FakeGuest({A: [1, 10, 11], B: [2, 20, FakeGuest.OFF]}, fails=lambda _trace: guest.off)
    done = replay(guest, step("M", 10), step("E", 21))
    assert done.failed
    assert len(done.attempts) == 1


def test_a_guest_that_powers_off_without_a_failure_has_held():
    guest = FakeGuest({A: [1, 10, 11], B: [2, 20, FakeGuest.OFF]})
    done = replay(guest, step("M", 10), step("E", 20))
    assert done.complete
    assert not done.failed
    assert guest.off
    assert len(done.attempts) == 1


def test_the_same_guest_holds_in_another_order():
    guest = FakeGuest(
        {A: [1, 10, 11, 12], B: [2, 20, 21, 22]},
        fails=lambda trace: in_order(trace, (B, 20), (A, 11), (B, 21), (A, 12)),
    )
    done = replay(guest, step("E", 20), step("M", 12))
    assert not done.failed
    assert done.complete


def test_the_nth_hit_counts_each_arrival_once():
    guest = FakeGuest({A: [1, 5, 2, 5, 3, 5, 4], B: []})
    done = replay(guest, step("M", 5, hit=3))
    assert done.complete
    assert in_order(guest.trace, (A, 1), (A, 5), (A, 2), (A, 5), (A, 3), (A, 5))


def test_one_vcpu_held_twice_at_one_point_moves_in_between():
    guest = FakeGuest({A: [5, 1, 5, 2], B: []})
    assert replay(guest, step("M", 5), step("M", 5)).complete


def test_an_order_that_cannot_be_is_infeasible_and_no_pass():
    guest = FakeGuest({A: [1, 10], B: [2, 20]})
    done = replay(guest, step("M", 10), step("E", 99))
    assert done.reached
    assert done.infeasible
    assert not done.failed
    assert "E did not reach `entry of f99`" in done.attempts[0].why


def test_a_first_point_that_nobody_comes_to_is_not_reached():
    done = replay(FakeGuest({A: [1], B: [2]}), step("M", 10))
    assert not done.reached
    assert not done.infeasible


def test_alone_is_alone_and_with_others_is_not():
    programs = {A: [1, 10, 11], B: [2, 3, 20]}
    guest = FakeGuest(programs)
    replay(guest, step("M", 10), step("M", 11))
    assert guest.trace.index((A, 10)) < guest.trace.index((B, 20))
    with_others = FakeGuest({A: [1, 10, 12, 13, 14, 11], B: [2, 3, 20]})
    replay(with_others, step("M", 10), step("M", 11, alone=False))
    assert with_others.trace.index((B, 20)) < with_others.trace.index((A, 14))


def test_a_held_vcpu_answers_interrupts_and_goes_no_farther():
    """B waits at 20 for A to have served its interrupt; A is held at 10."""
    guest = FakeGuest({A: [1, 10, 11], B: [2, 20, 21]})
    resumed = []

    def resume(threads):
        guest.running = tuple(threads)
        if A in guest.running and guest.pc(A) == 10:
            resumed.append(guest.pc(B))
            guest.blocked = False

    guest.resume, guest.blocked = resume, True
    plain = guest.pc
    guest.pc = lambda thread: (
        0 if thread == B and plain(B) == 21 and guest.blocked else plain(thread)
    )
    done = replay(guest, step("M", 10), step("E", 20), step("E", 21), patience=5)
    assert done.complete
    assert resumed
    assert guest.at[A] <= len(guest.programs[A])


def waits(guest, thread, at, until):
    """Have one vCPU stand still before an address until another one has executed its own."""
    plain = guest.pc

    def pc(which):
        found = plain(which)
        return 0 if (which, found) == (thread, at) and until not in guest.trace else found

    guest.pc = pc


def test_a_held_vcpu_answers_interrupts_less_and_less_often():
    guest = FakeGuest({A: [1, 10], B: [2, 20] + [3] * 100_000})
    resumed = []
    go_on = guest.resume

    def resume(threads):
        resumed.append(tuple(threads))
        go_on(threads)

    guest.resume = resume
    done = replay(guest, step("M", 10), step("E", 99), patience=0.6)
    assert done.infeasible
    let_go = sum(A in threads for threads in resumed[1:-1])
    assert 3 <= let_go <= 8, "QEMU translates everything anew each time"


def test_another_task_of_a_held_vcpu_is_led_past_the_points():
    guest = SharedGuest({A: [1, 10, 11], B: [2, 20]}, A, 10, [30, 20, 31])
    waits(guest, B, 20, (A, 31))
    assert replay(guest, step("M", 10), step("E", 20), patience=5).complete


def test_another_task_at_the_very_point_is_not_the_one_that_is_held():
    guest = SharedGuest({A: [1, 10, 12, 11], B: [2, 20]}, A, 10, [10, 11, 13])
    waits(guest, B, 20, (A, 13))
    done = replay(guest, step("M", 10), step("E", 20), step("M", 11), patience=5)
    assert done.complete
    assert in_order(guest.trace, (A, 13), (A, 12))


@pytest.mark.parametrize(("task", "first"), [("", (B, 20)), ("mover", (A, 12))])
def test_a_step_that_names_a_task_counts_for_that_task_only(task, first):
    guest = SharedGuest({A: [1, 10, 12, 11], B: [2, 20, 21]}, A, 10, [11, 13])
    mover = step("M", 10, task=task), step("M", 11, task=task)
    assert replay(guest, *mover, step("E", 20), step("E", 21), patience=5).complete
    assert next(item for item in guest.trace if item in ((A, 12), (B, 20))) == first


def test_a_point_with_a_condition_is_refused():
    gated = Resolved("return of f", (1,), Gate((2,), (3,)))
    resolver = SimpleNamespace(resolve=lambda _texts: gated)
    with pytest.raises(UserError, match="return of f"):
        place(witness(step("M", 1)), resolver)


def test_of_alternatives_the_first_one_without_a_condition_counts():
    found = {
        "return of f": Resolved("return of f", (1,), Gate((2,), (3,))),
        "entry of f": Resolved("entry of f", (4,), None),
    }

    def resolve(texts):
        known = [found[text] for text in texts if text in found]
        if not known:
            raise UserError("none")
        return known[0]

    step = Step(actor="M", point=["entry of gone", "return of f", "entry of f"])
    (placed,) = place(witness(step), SimpleNamespace(resolve=resolve))
    assert placed.addresses == {4}


def test_a_witness_is_read_as_it_was_written(tmp_path):
    written = witness(
        Step(actor="M", point=["entry of a", "before b #2 in a"], hit=3, alone=False),
        step("E", 2),
        note='a "quoted" \\ note',
    )
    save_witness(tmp_path / "w.toml", written)
    assert load_witness(tmp_path / "w.toml") == written


def test_a_witness_is_small(tmp_path):
    with pytest.raises(UserError, match="5120"):
        save_witness(tmp_path / "w.toml", witness(step("M", 1), note="x" * 5000))
    (tmp_path / "big.toml").write_text("#" * 6000)
    with pytest.raises(UserError, match="5120"):
        load_witness(tmp_path / "big.toml")


def test_patience_ends_before_the_guest_s_watchdogs():
    with pytest.raises(ValidationError):
        witness(step("M", 1), patience=30)


def test_the_witnesses_here_belong_to_races():
    found = sorted(data_dir("races").glob("*/witness*.toml"))
    assert found
    for path in found:
        read = load_witness(path)
        assert read.race == path.parent.name
        load_race(read.race).find_workload(read.workload)
        load_machine(read.machine)
