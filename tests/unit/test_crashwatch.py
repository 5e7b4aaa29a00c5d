# SPDX-License-Identifier: GPL-2.0-only
"""Consoles that are read while they grow, and only once."""

import os
import time
from dataclasses import replace

import pytest
from test_cell import FAKE, spec

from mmrace import crash
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.guests.accel import Accel
from mmrace.home import Home
from mmrace.judging.crashwatch import CrashWatch
from mmrace.judging.evidence import Evidence
from mmrace.judging.oracle import Oracle
from mmrace.outcome import Outcome, VmEnd
from mmrace.runs.parts import Parts
from mmrace.runs.workload import run_workload

STORM = 20_000
WARNING = """\
[    {at}] ------------[ cut here ]------------
[    {at}] WARNING: CPU: 0 PID: {pid} at mm/rmap.c:1712 {where}+0x5a/0x8e1
[    {at}] RIP: 0010:{where}+0x5a/0x8e1
[    {at}] Call Trace:
[    {at}]  its_caller+0x1/0x2
[    {at}] ---[ end trace 0000000000000000 ]---
"""
STALL = """\
[   30.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [x:12]
[   30.0] RIP: 0010:stuck_here+0x1/0x2
[   30.0] Call Trace:
[   30.0]  its_caller+0x1/0x2
"""


def race(*signatures):
    workload = Workload(
        name="w", summary="", source=Source.STRESSOR, argv=("w",), sources=("w.c",),
        min_counts={"iterations": 1}, silence=60,
    )  # fmt: skip
    return Race(name="r", title="", summary="", signature=signatures, workload=(workload,))


def warning(where, number=0):
    return WARNING.format(at=f"5.{number:06}", pid=100 + number % 7, where=where).encode()


def oracle():
    mine = race(Signature(title="in mine"))
    return Oracle(mine, mine.workload[0])


def watch(*signatures):
    watched = CrashWatch(race(*signatures))
    watched.line("# start w")
    return watched


def test_the_race_s_own_crash_is_noticed_once_it_is_complete():
    watched = watch(Signature(title="in mine", report="its_caller"))
    assert not watched.console(warning("other")[:-20])
    watched.console(warning("other")[-20:] + warning("mine")[:-60])
    assert not watched.own
    watched.console(warning("mine")[-60:] + warning("other"))
    assert watched.own


def test_a_crash_is_complete_with_its_end_marker_whether_or_not_more_comes():
    """A guest that only faults from there on prints nothing more, and would run to its deadline."""
    watched = watch(Signature(title="in mine", report="its_caller"))
    watched.console(warning("mine")[:-1])
    assert not watched.own
    watched.console(warning("mine")[-1:])
    assert watched.own


def test_what_the_kernel_survived_before_the_workload_is_not_the_race_s():
    watched = CrashWatch(race(Signature(title="in mine")))
    watched.console(warning("mine"))
    watched.line("# start w")
    watched.console(warning("other"))
    assert not watched.own


@pytest.mark.parametrize("said_first", [True, False])
def test_a_signature_with_words_wants_both(said_first):
    watched = watch(Signature(title="in mine", output="^it was (bad|worse)$"))
    if said_first:
        watched.line(r"# out it was \\x62ad")
        watched.line("# out it was bad")
        assert not watched.own
    watched.console(warning("mine") + warning("other"))
    assert watched.own == said_first
    watched.line("# out it was worse")
    assert watched.own


def test_the_crashes_are_those_of_the_console_and_of_no_other():
    log = warning("one") + warning("two")
    race_ = race(Signature(title="in two"), Signature(title="in mine"))
    watched = CrashWatch(race_)
    for at in range(0, len(log), 7):
        watched.console(log[at : at + 7])
    other = Evidence(race_, race_.workload[0], VmEnd.STOPPED, log + b"more", b"")
    assert watched.read(other) == other
    read = watched.read(replace(other, console=log))
    assert read.crashes == crash.parse(log)
    assert read.shown == {0}


def test_many_reports_of_watchdogs_are_counted_and_each_is_read_once(monkeypatch):
    watching = oracle()
    monkeypatch.setattr("mmrace.crash.parse", pytest.fail)
    log = bytearray()
    for _ in range(50):
        log += STALL.encode()
        assert watching.ask(log, b"") is None
    counted = watching.stalls
    monkeypatch.undo()
    assert watching.ask(log, b"", silent=True) is None
    assert watching.stalls == len(crash.parse(bytes(log))) > 20
    assert counted == watching.stalls - 1  # the end of the last one had not come


def test_another_failure_behind_a_watchdog_s_report_is_one():
    """The watchdog's came of holding; the one who held has seen to that."""
    watching = oracle()
    log = STALL.encode() + warning("other")
    judged = watching.ask(log, b"# start w\n", silent=True)
    assert (judged.outcome, judged.title) == (Outcome.CRASH, "WARNING in other")


def test_a_storm_of_warnings_costs_at_most_twice_what_reading_them_once_does(tmp_path, monkeypatch):
    """CPU time of mmrace alone: another process plays the guest."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    storm = b"".join(warning("other", number) for number in range(STORM))
    lines = [f"console {line}" for line in storm.decode().splitlines()]
    script = ["channel # start w", *lines, "channel ok 1 - w # exit=0", "channel 1..1"]
    kernel, config, image = (tmp_path / name for name in ("kernel", "config", "image"))
    kernel.write_text("\n".join([*script, "channel # end", "poweroff"]))
    config.write_text("")
    image.write_bytes(b"")
    signed = race(Signature(title="in mine"), Signature(report="^mine_was_called"))
    parts = Parts(kernel, config, image, Accel("tcg", "asked for"))
    cell = spec(race=signed, workload=signed.workload[0])
    begun = time.process_time()
    made = run_workload(Home(tmp_path / "cache", tmp_path / "data"), cell, parts, str)
    spent = time.process_time() - begun
    begun = time.process_time()
    found = crash.parse(made.console())
    once = time.process_time() - begun
    assert len(found) == STORM
    judged = made.judgement()
    assert (judged.outcome, judged.title) == (Outcome.CRASH, "WARNING in other")
    print(f"{spent:.1f} s of CPU time, {once:.1f} s to read the console once")
    assert spent <= 2 * once
