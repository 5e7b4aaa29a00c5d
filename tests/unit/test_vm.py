# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
import time
from pathlib import Path

import pytest

from mmrace.definitions.machine import Machine, Node
from mmrace.errors import InfraError
from mmrace.guests.printk import MARK, LogBuffer
from mmrace.guests.qemu import Boot, Ports, command
from mmrace.guests.vm import Hooks, Limits, run_vm
from mmrace.outcome import VmEnd

FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
MACHINE = Machine(name="two", summary="", node=(Node(memory=64), Node(memory=128)))


def made(tmp_path, script):
    kernel = tmp_path / "script"
    kernel.write_text(script, encoding="utf-8")
    return Boot(MACHINE, kernel, tmp_path / "initrd", ("quiet",), "tcg", qemu=str(FAKE))


def play(tmp_path, script, limits=None, hooks=None):
    ended, _ = run_vm(made(tmp_path, script), tmp_path, limits or Limits(), hooks or Hooks())
    return ended


def processes_about(tmp_path):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(tmp_path).encode() in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def test_a_guest_that_powers_off_leaves_both_logs(tmp_path):
    seen = []
    ended = play(
        tmp_path,
        "console hello\nchannel # start x\nchannel ok 1 - x\npoweroff\n",
        hooks=Hooks(line=seen.append),
    )
    assert ended.end is VmEnd.EXITED
    assert (tmp_path / "console.log").read_bytes() == b"hello\r\n"
    assert (tmp_path / "channel.log").read_bytes() == b"# start x\nok 1 - x\n"
    assert seen == ["# start x", "ok 1 - x"]
    index = [line.split() for line in (tmp_path / "channel.times").read_text().splitlines()]
    assert index[0][1] == "0"
    assert float(index[0][0]) <= ended.seconds


def test_a_reset_is_told_from_a_power_off(tmp_path):
    assert play(tmp_path, "channel # start x\nreset\n").end is VmEnd.RESET


def test_qemu_that_dies_is_no_guest_that_ended(tmp_path):
    ended = play(tmp_path, "channel # start x\ndie 3\n")
    assert ended.end is VmEnd.QEMU_DIED
    assert "3" in ended.message


def test_qemu_that_dies_at_once_says_why(tmp_path):
    ended = play(tmp_path, "die early\n")
    assert ended.end is VmEnd.QEMU_DIED
    assert "could not set up the machine" in ended.message


def test_a_guest_that_never_starts_its_workload(tmp_path):
    ended = play(tmp_path, "console booting\nsleep 30\n", Limits(boot=0.5))
    assert ended.end is VmEnd.BOOT_TIMEOUT
    assert ended.seconds < 20


def test_a_boot_without_a_word_is_a_stall_and_a_slow_one_is_not(tmp_path):
    limits = Limits(boot=20, stall=2)
    ended = play(tmp_path, "console booting\nsleep 30\n", limits)
    assert ended.end is VmEnd.BOOT_STALL
    assert ended.seconds < 15
    slow = "console word\nsleep 1\n" * 6 + "channel # start x\npoweroff\n"
    assert play(tmp_path, slow, limits).end is VmEnd.EXITED


def test_a_panic_that_is_over_ends_a_machine_that_loops(tmp_path):
    script = (
        "console Kernel panic - not syncing: x\nconsole ---[ end Kernel panic - not\nsleep 30\n"
    )
    ended = play(tmp_path, script, Limits(boot=20), Hooks(grace=0.5))
    assert ended.end is VmEnd.STOPPED
    assert ended.seconds < 15


def test_messages_that_came_to_no_console_are_read_from_memory(tmp_path):
    boot = dataclasses.replace(made(tmp_path, "sleep 30\n"), log=LogBuffer(0xFFFFFFFF82000000, 64))
    ended, _ = run_vm(boot, tmp_path, Limits(stall=1), Hooks())
    assert ended.end is VmEnd.BOOT_STALL
    assert (tmp_path / "console.log").read_bytes() == MARK + b"said 64 at 0xffffffff82000000\n"
    assert not (tmp_path / "printk.raw").exists()
    play(tmp_path, "console heard\nsleep 30\n", Limits(stall=1))
    assert MARK not in (tmp_path / "console.log").read_bytes()


def test_the_console_is_early_unless_somebody_chose_one(tmp_path):
    def append(*words):
        boot = dataclasses.replace(made(tmp_path, ""), append=words)
        argv = command(boot, Ports(tmp_path, tmp_path))
        return argv[argv.index("-append") + 1].split()

    assert append("console=ttyS0") == ["earlyprintk=ttyS0,115200", "console=ttyS0"]
    assert append("earlycon=uart8250,io,0x3f8", "a") == ["earlycon=uart8250,io,0x3f8", "a"]


def test_counters_are_no_progress(tmp_path):
    script = "channel # start x\n" + "sleep 0.1\nchannel # count vmstat:y 1\n" * 200
    ended = play(tmp_path, script, Limits(silence=0.6))
    assert ended.end is VmEnd.SILENT
    assert ended.seconds < 15


def test_progress_keeps_a_guest_alive_until_its_cap(tmp_path):
    script = "channel # start x\n" + "sleep 0.1\nchannel # out y\n" * 100
    ended = play(tmp_path, script, Limits(silence=0.5, total=1.5))
    assert ended.end is VmEnd.TIMEOUT


def test_a_failure_on_the_console_ends_the_run_after_its_grace(tmp_path):
    script = "channel # start x\nconsole BUG: it\nsleep 0.3\nconsole trace\nsleep 30\n"
    hooks = Hooks(failing=lambda data: b"BUG" in data, grace=0.8)
    ended = play(tmp_path, script, hooks=hooks)
    assert ended.end is VmEnd.STOPPED
    assert b"trace" in (tmp_path / "console.log").read_bytes()


def test_a_failure_that_prints_nothing_more_needs_no_whole_grace(tmp_path):
    script = "channel # start x\nconsole BUG: it\nsleep 0.3\nconsole trace\nsleep 30\n"
    hooks = Hooks(failing=lambda data: b"BUG" in data, grace=20, quiet=1)
    ended = play(tmp_path, script, hooks=hooks)
    assert ended.end is VmEnd.STOPPED
    assert ended.seconds < 15
    assert b"trace" in (tmp_path / "console.log").read_bytes()


def test_a_machine_is_stopped_and_goes_on_as_often_as_somebody_asks(tmp_path):
    wanted, asked = iter([True, False, True]), []

    def pause():
        asked.append(next(wanted, False))
        return asked[-1]

    # On a busy host two lines may be heard at once, and are asked about once.
    lines = "".join(f"sleep 0.3\nchannel {name}\n" for name in "abcd")
    ended = play(tmp_path, f"channel # start x\n{lines}poweroff\n", hooks=Hooks(pause=pause))
    assert ended.end is VmEnd.EXITED
    assert sum(asked) == 2
    assert (tmp_path / "console.log").read_bytes() == b"going on\r\n" * 2


def test_what_a_line_is_answered_with_reaches_the_guest(tmp_path):
    script = "channel # start x\nchannel # count turns 7\nhear\npoweroff\n"
    answer = Hooks(line=lambda line: b"enough\n" if "turns 7" in line else None)
    assert play(tmp_path, script, Limits(silence=5), answer).end is VmEnd.EXITED
    assert (tmp_path / "console.log").read_bytes() == b"heard enough\n"


def test_a_guest_that_reads_nothing_does_not_hold_up_its_run(tmp_path):
    script = "channel # start x\n" + "channel y\n" * 20 + "poweroff\n"
    flood = Hooks(line=lambda _line: b"x" * 100_000)
    assert play(tmp_path, script, hooks=flood).end is VmEnd.EXITED


def test_qemu_that_ignores_sigterm_is_gone_all_the_same(tmp_path):
    started = time.monotonic()
    play(tmp_path, "deaf\nchannel # start x\nsleep 60\n", Limits(silence=0.3))
    assert time.monotonic() - started < 40
    assert not processes_about(tmp_path)


def test_an_interrupt_leaves_no_process(tmp_path):
    def interrupt(_line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(tmp_path, "channel # start x\nsleep 60\n", hooks=Hooks(line=interrupt))
    assert not processes_about(tmp_path)


def test_no_qemu_is_infrastructure(tmp_path):
    boot = Boot(MACHINE, tmp_path, tmp_path, (), "tcg", qemu="/nowhere/qemu")
    with pytest.raises(InfraError, match="/nowhere/qemu"):
        run_vm(boot, tmp_path, Limits(), Hooks())


def test_one_socket_for_each_node_with_cpus():
    machine = Machine(name="m", summary="", node=(Node(memory=64), Node(memory=64, cpus=0)))
    boot = Boot(machine, Path("k"), Path("i"), (), "kvm")
    argv = command(boot, Ports(Path("c"), Path("m")))
    assert "1,sockets=1,cores=1,threads=1" in argv
    assert "node,nodeid=0,memdev=ram0,cpus=0-0" in argv
    assert "node,nodeid=1,memdev=ram1" in argv
