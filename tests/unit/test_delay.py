# SPDX-License-Identifier: GPL-2.0-only
"""Windows that a module in the guest keeps: what it is given, what it told, what it cannot have."""

import json
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from test_cell import GOOD, RACE, WORKLOAD, home  # noqa: F401 - a fixture
from test_cpio import parse

from mmrace.cli import cli, running
from mmrace.definitions.machine import Machine, Node
from mmrace.definitions.race import Race, Source, Workload
from mmrace.definitions.window import Window
from mmrace.errors import UserError
from mmrace.guests.accel import Accel
from mmrace.guests.qemu import Boot
from mmrace.guests.vm import Ended, run_vm
from mmrace.home import Home
from mmrace.judging import channel
from mmrace.outcome import WindowCount
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.runs.parts import Parts
from mmrace.runs.planner import steers
from mmrace.runs.record import RunDir, Spec
from mmrace.runs.workload import run_workload
from mmrace.symbols.resolve import Gate, Resolved
from mmrace.symbols.unprobeable import Unprobeable, read_unprobeable
from mmrace.userland.image import Job
from mmrace.windows.delay import Delay, delay_for
from mmrace.windows.plan import Plan, PlannedWindow

FREE = Unprobeable(())


def window(name: str = "first", timeout: float = 2.5, gate: Gate | None = None) -> PlannedWindow:
    written = Window(
        name=name, hold=("return of f",), until=("entry of g",), timeout=timeout, probability=0.25
    )
    hold = Resolved("return of f", (0x10, 0x2A), gate)
    return PlannedWindow(written, hold, Resolved("entry of g", (0xFF00,)))


def delay(*windows: PlannedWindow) -> Delay:
    return delay_for(Plan(windows=windows or (window(),)), Path("delay.ko"), FREE)


def test_the_module_reads_microseconds_millionths_and_addresses() -> None:
    assert delay().lines() == ("first 2500 250000 10,2a ff00",)


def test_windows_go_into_the_job_and_are_armed_for_all_of_a_workload_that_does_not_say_when() -> (
    None
):
    job = Job("w", ("w",), 1, windows=("first 1 2 3 4",))
    assert "window first 1 2 3 4" in job.render().splitlines()
    assert "arm-at-start" not in job.render()
    ltp = Job("w", ("w",), 1, source=Source.LTP, windows=("first 1 2 3 4",))
    assert "arm-at-start " in ltp.render().splitlines()
    assert "arm-at-start" not in Job("w", ("w",), 1, source=Source.LTP).render()


def test_a_point_that_several_ways_lead_to_is_refused_by_its_name() -> None:
    with pytest.raises(UserError, match=r"`return of f`.*director"):
        delay(window(gate=Gate((1,), (2,))))


def test_a_point_in_code_that_kprobes_refuse_is_named() -> None:
    taken = Unprobeable(((0xFE00, 0xFF10, "do_int3"),))
    with pytest.raises(UserError, match=r"`entry of g`.*do_int3"):
        delay_for(Plan(windows=(window(),)), Path("delay.ko"), taken)


def test_a_long_hold_is_refused() -> None:
    assert delay(window(timeout=10)).lines()
    with pytest.raises(UserError, match="window first: a timeout of 11 ms"):
        delay(window(timeout=11))


def test_random_delays_need_the_director() -> None:
    with pytest.raises(UserError, match="--steer-by director"):
        delay_for(Plan(delays=(window().hold,)), Path("delay.ko"), FREE)


def test_counts_are_the_last_that_pid_1_or_the_dying_kernel_told() -> None:
    output = b"# start w\n# window first 3 1 2\r\n# window first 9 2 7\n# window first 12 3"
    steered = delay(window(), window("second"))
    assert steered.counts(output, b"") == (
        WindowCount("first", 9, 2, 7, "kprobe"),
        WindowCount("second", 0, 0, 0, "kprobe"),
    )
    console = b"[    2.1] mmrace_delay: window first 12 3 9\r\r\n[    2.2] Rebooting\n"
    assert steered.counts(output, console)[0] == WindowCount("first", 12, 3, 9, "kprobe")


def test_the_workload_cannot_forge_counts() -> None:
    output = b"# out # window first 7 7 0\n# out mmrace: count window 1\n"
    assert delay().counts(output, b"")[0].hits == 0


def test_a_line_of_counts_is_of_the_protocol() -> None:
    assert channel.parse(b"KTAP version 1\n# window first 3 1 2\n").torn == 0


def test_only_steering_by_kprobe_asks_for_another_config() -> None:
    assert RunOptions(steer_by="kprobe").kernel_configs == ("kprobe-delay",)
    assert RunOptions().kernel_configs == ()


def test_under_kvm_the_director_cannot_and_kprobes_are_not_the_default() -> None:
    fields = RACE.model_dump() | {"window": [window().window.model_dump()]}
    race = Race.model_validate(fields)

    def steered(**choice: object) -> bool:
        return steers(race, WORKLOAD, RunOptions(**choice), "kvm")  # type: ignore[arg-type]

    assert not steered()
    assert steered(steer_by="kprobe")
    assert not steered(steer_by="kprobe", steer=False)
    with pytest.raises(UserError, match="--steer-by kprobe"):
        steered(steer=True)


def test_without_debug_information_nothing_is_steered() -> None:
    race = Race.model_validate(RACE.model_dump() | {"window": [window().window.model_dump()]})

    def steered(steer: bool | None) -> bool:
        return steers(race, WORKLOAD, RunOptions(steer=steer), "tcg", debug_info=False)

    assert not steered(None)
    assert not steered(False)
    assert steers(race, WORKLOAD, RunOptions(), "tcg")
    with pytest.raises(UserError, match="no debug information"):
        steered(True)


def made_spec(**fields: object) -> Spec:
    machine = Machine(name="m", summary="", node=(Node(memory=64),))
    known: dict[str, object] = {
        "id": "x", "race": RACE, "workload": WORKLOAD, "machine": machine, "tree": "t",
        "revision": "0" * 40, "series": (), "kernel_id": "k", "release": "6.1", "program": "p",
        "accel": "tcg", "steered": False, "seed": 1, "boot": (),
    }  # fmt: skip
    return Spec(**{**known, **fields})  # type: ignore[arg-type]


def test_the_command_that_makes_the_run_again_names_the_backend() -> None:
    assert made_spec(options=RunOptions(steer_by="kprobe")).command.endswith("--steer-by kprobe")
    assert "--steer-by" not in made_spec().command


def test_the_command_that_makes_the_run_again_has_what_the_kernel_was_built_with() -> None:
    spec = made_spec(options=RunOptions(steer_by="kprobe", configs=("lockdep",)))
    words = spec.command.split()
    assert words[words.index("--config") + 1] == "lockdep"
    assert "kprobe-delay" not in words
    assert spec.configs == ("lockdep", "kprobe-delay")


def test_a_run_is_made_again_on_a_kernel_with_the_same_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = made_spec(options=RunOptions(configs=("lockdep",)))
    configs_built: list[object] = []

    def build(_home: object, _tree: str, _series: object, configs: object, *_: object) -> None:
        configs_built.append(configs)
        raise UserError("enough")

    monkeypatch.setattr(
        running, "find_run", lambda *_: SimpleNamespace(spec=lambda: spec, folder=Path())
    )
    monkeypatch.setattr(kernels, "build", build)
    done = CliRunner().invoke(cli, ["again", "x"], standalone_mode=False)
    assert str(done.exception) == "enough"
    assert configs_built == [("lockdep",)]


def steered_run(home: Home, tmp_path: Path, script: str) -> RunDir:  # noqa: F811
    kernel, config, image, module = (tmp_path / name for name in ("k", "c", "i", "m.ko"))
    kernel.write_text(script, encoding="utf-8")
    config.write_text("CONFIG_SMP=y\n")
    image.write_bytes(b"")
    module.write_bytes(b"the module")
    workload: Workload = WORKLOAD
    spec = Spec(
        id="20260101-000000-r-w-0000", race=RACE, workload=workload,
        machine=Machine(name="m", summary="", node=(Node(memory=64),)), tree="t",
        revision="0" * 40, series=(), kernel_id="k", release="6.1.192", program="p", accel="tcg",
        steered=True, seconds=1, seed=7, boot=(), command="mmrace run", steer_by="kprobe",
    )  # fmt: skip
    steering = Delay(Plan(windows=(window(),)), module)
    parts = Parts(kernel, config, image, Accel("tcg", "asked for"), delay=steering)
    return run_workload(home, spec, parts, str)


def test_the_record_tells_who_held_and_that_kvm_is_untested(home: Home, tmp_path: Path) -> None:  # noqa: F811
    script = GOOD.replace("channel 1..1", "channel # window first 5 2 3\nchannel 1..1")
    made = steered_run(home, tmp_path, script)
    expected = {"name": "first", "hits": 5, "met": 2, "timeouts": 3, "by": "kprobe"}
    assert json.loads((made.folder / "windows.json").read_text()) == [expected]
    assert made.as_json()["windows"] == [{"name": "first", "hits": 5, "met": 2, "by": "kprobe"}]
    assert made.spec().steer_by == "kprobe"
    assert made.vm().steering_under_kvm == "untested here: this ran under TCG (asked for)"


def test_the_module_is_in_the_image_with_the_job(
    home: Home,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed: list[bytes] = []

    def look(boot: Boot, *others: Any) -> tuple[Ended, tuple[str, ...]]:
        packed.append(boot.initrd.read_bytes())
        return run_vm(boot, *others)

    monkeypatch.setattr("mmrace.runs.workload.run_vm", look)
    steered_run(home, tmp_path, GOOD)
    members = {entry.path: entry for entry in parse(packed[0])}
    assert members["mmrace/delay.ko"].content == b"the module"
    assert b"window first 2500 250000 10,2a ff00\n" in members["mmrace/job"].content


KERNEL = """
void listed(void) {}
void after_it(void) {}
const void *const list[] = { (void *)listed };
int main(void) { return 0; }
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A program in the place of a vmlinux, and its symbols."""
    folder = tmp_path_factory.mktemp("unprobeable")
    (folder / "k.c").write_text(KERNEL)
    argv = ["gcc", "-O0", "-no-pie", "-o", "vmlinux", "k.c"]
    subprocess.run(argv, cwd=folder, check=True)
    nm = ["nm", folder / "vmlinux"]
    done = subprocess.run(nm, check=True, capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return folder / "vmlinux", {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def test_what_kprobes_refuse_is_read_from_the_kernel(
    kernel: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    vmlinux, at = kernel
    symbols = dict(at)
    symbols["__start_kprobe_blacklist"] = at["list"]
    symbols["__stop_kprobe_blacklist"] = at["list"] + struct.calcsize("Q")
    symbols["__entry_text_start"], symbols["__entry_text_end"] = 0x1000, 0x2000
    path = tmp_path / "System.map"
    path.write_text("".join(f"{value:016x} T {name}\n" for name, value in symbols.items()))
    found = read_unprobeable(vmlinux, path)
    assert found.why_not(at["listed"]) == "listed"
    assert found.why_not(at["after_it"] - 1) == "listed"
    assert found.why_not(at["after_it"]) == ""
    assert found.why_not(0x1FFF) == "entry_text"


def test_a_kernel_without_its_symbols_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"System\.map"):
        read_unprobeable(tmp_path / "vmlinux", tmp_path / "System.map")
