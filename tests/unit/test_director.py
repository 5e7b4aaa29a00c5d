# SPDX-License-Identifier: GPL-2.0-only
"""The director's rules, played without QEMU, and its state file as both sides see it."""

import ctypes
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace import proc
from mmrace.data import data_dir
from mmrace.definitions.window import Delays, Window
from mmrace.errors import InfraError
from mmrace.home import Home
from mmrace.symbols.resolve import Gate, Resolved
from mmrace.windows.director import Director, build, race_phase
from mmrace.windows.plan import Plan, PlannedMeter, PlannedWindow
from mmrace.windows.shared import EventKind, encode

HOLD, UNTIL, CALL, ENTRY = 0x1000, 0x2000, 0x3000, 0x4000
LONG = 5000.0  # ms: a hold that a test would notice


class Player:
    """The test program: answers come back in the order in which vCPUs may go on."""

    def __init__(self, program: Path, state: Path) -> None:
        argv = [str(program), str(state)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.hello = self.answer()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.answers.put(line.strip())

    def answer(self, seconds: float = 10) -> str:
        return self.answers.get(timeout=seconds)

    def silent(self, seconds: float = 0.1) -> bool:
        try:
            self.answers.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def reach(self, vcpu: int, address: int) -> None:
        self.tell(f"reach {vcpu} {address:x}")

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("director")
    argv = ["make", "-s", "-C", str(data_dir("qemu") / "director"), f"O={made}", "test"]
    subprocess.run(argv, check=True)
    return made / "hold_test"


def point(*addresses: int, gate: Gate | None = None) -> Resolved:
    return Resolved("p", addresses, gate)


def window(
    timeout: float = LONG,
    hold: Resolved | None = None,
    until: Resolved | None = None,
    **more: float,
) -> PlannedWindow:
    fields = {"name": "w", "hold": "entry of f", "until": "entry of g", "timeout": timeout, **more}
    table = Window.model_validate(fields)
    return PlannedWindow(table, hold or point(HOLD), until or point(UNTIL))


class Stage:
    """A director and a player over one state file, armed."""

    def __init__(self, program: Path, plan: Plan, armed: bool = True) -> None:
        self.director = Director(plan, Path("/plugin.so"))
        self.director.__enter__()
        self.open = True
        self.player = Player(program, self.director.path)
        if armed:
            self.director.arm()

    def close(self) -> None:
        if self.open:
            self.open = False
            self.player.close()
            self.director.__exit__(None, None, None)


@pytest.fixture
def stage(program: Path) -> Iterator[type[Stage]]:
    made: list[Stage] = []

    class Made(Stage):
        def __init__(self, plan: Plan, armed: bool = True) -> None:
            super().__init__(program, plan, armed)
            made.append(self)

    yield Made
    for item in made:
        item.close()


def test_a_holder_goes_when_another_vcpu_comes(stage: type[Stage]) -> None:
    on = stage(Plan((window(),)))
    on.player.reach(0, HOLD)
    assert on.player.silent()
    on.player.reach(1, UNTIL)
    assert {on.player.answer(), on.player.answer()} == {"0 1000", "1 2000"}
    (count,) = on.director.counts()
    assert (count.hits, count.met, count.timeouts) == (1, 1, 0)


def test_a_holder_that_nobody_meets_goes_after_the_timeout(stage: type[Stage]) -> None:
    on = stage(Plan((window(timeout=50),)))
    begun = time.monotonic()
    on.player.reach(0, HOLD)
    on.player.answer()
    assert 0.05 <= time.monotonic() - begun < 1
    (count,) = on.director.counts()
    assert (count.hits, count.met, count.timeouts) == (1, 0, 1)


def test_before_the_race_phase_nothing_is_held_or_counted(stage: type[Stage]) -> None:
    on = stage(Plan((window(),)), armed=False)
    on.player.reach(0, HOLD)
    assert on.player.answer() == "0 1000"
    assert on.director.counts()[0].hits == 0


def test_it_is_blind_from_its_arming_on_until_qemu_has_it_look(stage: type[Stage]) -> None:
    on = stage(Plan((window(),)), armed=False)
    assert not on.director.blind
    on.director.arm()
    assert on.director.blind
    on.player.tell("watch")
    assert on.player.answer() == "watch"
    assert not on.director.blind


def test_disarming_lets_holders_go(stage: type[Stage]) -> None:
    on = stage(Plan((window(),)))
    on.player.reach(0, HOLD)
    assert on.player.silent()
    on.director.disarm()
    assert on.player.answer(1) == "0 1000"


def test_an_until_before_the_hold_does_not_count(stage: type[Stage]) -> None:
    on = stage(Plan((window(timeout=100),)))
    on.player.reach(1, UNTIL)
    on.player.answer()
    on.player.reach(0, HOLD)
    on.player.answer()
    assert on.director.counts()[0].met == 0


def test_all_holders_of_a_window_go_at_once(stage: type[Stage]) -> None:
    on = stage(Plan((window(),)))
    on.player.reach(0, HOLD)
    on.player.reach(1, HOLD)
    assert on.player.silent()
    on.player.reach(2, UNTIL)
    assert {on.player.answer() for _ in range(3)} == {"0 1000", "1 1000", "2 2000"}
    assert on.director.counts()[0].met == 2


def test_the_last_free_vcpu_is_not_held(stage: type[Stage]) -> None:
    on = stage(Plan((window(), window(hold=point(0x5000), until=point(0x6000)))))
    on.player.reach(0, HOLD)
    on.player.reach(1, HOLD)
    assert on.player.silent()
    on.player.reach(2, 0x5000)
    assert on.player.answer() == "2 5000"
    assert [count.hits for count in on.director.counts()] == [2, 1]
    on.player.reach(2, UNTIL)


def test_one_place_can_let_go_and_then_hold(stage: type[Stage]) -> None:
    # A chain: 0 waits for 1 to come to 2000; 1 then waits there for 0 to come to 6000.
    on = stage(Plan((window(), window(hold=point(UNTIL), until=point(0x6000)))))
    on.player.reach(2, HOLD)
    on.player.reach(0, HOLD)
    assert on.player.silent()
    on.player.reach(1, UNTIL)
    assert {on.player.answer(), on.player.answer()} == {"0 1000", "2 1000"}
    assert on.player.silent()
    on.player.reach(0, 0x6000)
    assert {on.player.answer(), on.player.answer()} == {"0 6000", "1 2000"}


def test_holding_with_a_probability_is_seeded(stage: type[Stage]) -> None:
    held = []
    for seed in (3, 3, 4):
        on = stage(Plan((window(timeout=1, probability=0.5),), seed=seed))
        for _ in range(60):
            on.player.reach(0, HOLD)
            on.player.answer()
        (count,) = on.director.counts()
        assert count.hits == 60
        held.append(count.timeouts)
        kinds = [event.kind for event in on.director.events()]
        assert kinds.count(EventKind.TIMEOUT) == count.timeouts
    assert held[0] == held[1]
    assert all(10 < number < 50 for number in held)


def test_a_gate_opens_for_the_wanted_caller_only(stage: type[Stage]) -> None:
    gated = point(HOLD, gate=Gate((CALL,), (ENTRY,)))
    on = stage(Plan((window(timeout=1, hold=gated),)))

    def walk(vcpu: int, *addresses: int) -> int:
        for address in addresses:
            on.player.reach(vcpu, address)
            on.player.answer()
        return on.director.counts()[0].hits

    assert walk(0, ENTRY, HOLD) == 0
    assert walk(0, CALL, ENTRY, HOLD) == 1
    assert walk(1, ENTRY, HOLD) == 1
    assert walk(0, HOLD) == 2
    assert walk(0, ENTRY, HOLD) == 2


def test_delays_stay_below_their_share(stage: type[Stage]) -> None:
    delay = Delays.model_validate({"points": ["entry of f"], "probability": 1.0, "share": 0.2})
    on = stage(Plan(delays=(point(HOLD),), delay=delay))
    begun = time.monotonic()
    while time.monotonic() - begun < 1.5:
        on.player.reach(0, HOLD)
        on.player.answer()
    events = [event for event in on.director.events() if event.kind is EventKind.DELAY]
    on.director.disarm()
    assert events
    assert 0 < on.director.delayed() <= 0.25 * 1.5


def test_a_point_that_is_passed_often_leaves_delays_to_others(stage: type[Stage]) -> None:
    delay = Delays.model_validate({"points": ["entry of f"], "probability": 1.0, "share": 0.2})
    on = stage(Plan(delays=(point(HOLD), point(UNTIL)), delay=delay))
    begun = time.monotonic()
    while time.monotonic() - begun < 2:
        for address in (*[HOLD] * 40, UNTIL):
            on.player.reach(0, address)
            on.player.answer()
    events = [event.index for event in on.director.events() if event.kind is EventKind.DELAY]
    on.director.disarm()
    often, seldom = (events.count(index) for index in (0, 1))
    assert often + seldom >= 10
    assert seldom > (often + seldom) / 8  # a fortieth of the passes


def test_meters_count_instructions_between_two_points(stage: type[Stage]) -> None:
    on = stage(Plan(meters=(PlannedMeter("m", point(0x7000), point(0x8000)),)))
    for length in (10, 25):
        for step in ("reach 0 7000", f"block 0 {length}", "reach 0 8000"):
            on.player.tell(step)
            on.player.answer()
    (found,) = on.director.measured()
    assert found.count == 2
    assert found.samples == (10, 25)


def test_what_was_never_translated_is_listed(stage: type[Stage]) -> None:
    on = stage(Plan((window(timeout=1),)))
    assert on.director.never_translated() == (HOLD, UNTIL)
    on.player.reach(0, HOLD)
    on.player.answer()
    assert on.director.never_translated() == (UNTIL,)
    assert on.director.point_hits() == {HOLD: 1, UNTIL: 0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-1], "cut off"),
        (lambda raw: b"x" + raw[1:], "not a director state file"),
        (lambda raw: raw[:4] + b"\xff" + raw[5:], "another version"),
    ],
)
def test_a_damaged_state_file_is_refused(
    program: Path, tmp_path: Path, damage: object, message: str
) -> None:
    assert callable(damage)
    state = tmp_path / "state"
    state.write_bytes(damage(encode(Plan((window(),)))))
    player = Player(program, state)
    player.close()
    assert message in player.hello


def test_arming_without_the_plugin_is_an_error() -> None:
    plan = Plan((window(),))
    with Director(plan, Path("/p.so")) as director, pytest.raises(InfraError, match="TCG"):
        director.arm()


def test_the_state_file_goes_and_its_counts_stay(stage: type[Stage]) -> None:
    plan = Plan((window(timeout=1),))
    on = stage(plan)
    on.player.reach(0, HOLD)
    on.player.answer()
    on.close()
    assert not on.director.path.exists()
    assert on.director.counts()[0].timeouts == 1
    assert [event.kind for event in on.director.events()] == [EventKind.HELD, EventKind.TIMEOUT]
    story = on.director.story()
    assert [event[1:] for event in story["events"]] == [[0, "held", 0], [0, "timeout", 0]]
    assert story["windows"][0]["hold"] == plan.windows[0].hold.point
    assert json.loads(json.dumps(story)) == story
    with pytest.raises(InfraError, match="not mapped"):
        on.director.arm()


def test_the_plugin_is_built_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    made = build(home)
    stamp = made.stat().st_mtime_ns
    assert build(home) == made
    assert made.stat().st_mtime_ns == stamp
    names = proc.run(["nm", "-D", "--defined-only", made], deadline=20).text
    assert {line.split()[-1] for line in names.splitlines()} == {
        "qemu_plugin_install",
        "qemu_plugin_version",
    }


def test_each_qemu_gets_the_plugin_of_its_interface(tmp_path: Path) -> None:
    director = Director(Plan(), build(Home(tmp_path / "cache", tmp_path / "data")))
    versions = {}
    for qemu in ("7.2.22", "10.0.2", "11.0.9", "11.1.0", "11.1.3", "12.0.0"):
        plugin = director.plugin_for(qemu)
        loaded = ctypes.CDLL(str(plugin), mode=os.RTLD_LAZY)  # QEMU's functions are not here
        versions[qemu] = ctypes.c_int.in_dll(loaded, "qemu_plugin_version").value
    assert versions == {
        "7.2.22": 1,  # it says 2 where QEMU has what came with version 2
        "10.0.2": 1,
        "11.0.9": 1,
        "11.1.0": 7,
        "11.1.3": 7,
        "12.0.0": 7,
    }


def test_commas_in_paths_are_doubled_for_qemu() -> None:
    with Director(Plan(), Path("/a,b.so")) as director:
        assert director.qemu_args("7.2.22") == ["-plugin", f"/a,,b.so,state={director.path}"]


@pytest.mark.parametrize(
    ("line", "announced", "phase"),
    [
        ("# out mmrace: race", True, True),
        ("# start stress", True, None),
        ("# start selftest", False, True),
        ("ok 1 - stress # exit=0", True, False),
        ("ok 1 - selftest # exit=0", False, None),
        ("1..2", False, False),
        ("# out race", True, None),
    ],
)
def test_the_race_phase_follows_the_result_channel(
    line: str, announced: bool, phase: bool | None
) -> None:
    assert race_phase(line, announced) is phase


def test_a_plan_of_everything_survives_the_layout() -> None:
    plan = Plan(
        windows=(window(), replace(window(), until=point(1, 2, gate=Gate((3,), (4,))))),
        delays=(point(9),),
        delay=Delays.model_validate({"points": ["entry of f"]}),
        meters=(PlannedMeter("m", point(5), point(6)),),
    )
    with Director(plan, Path("/p.so")) as director:
        assert set(director.point_hits()) == {HOLD, UNTIL, 1, 2, 3, 4, 5, 6, 9}
        assert len(director.counts()) == 2
        assert director.measured()[0].count == 0
        assert director.events() == ()
