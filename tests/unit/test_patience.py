# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
import sys

from mmrace.guard import waited_below
from mmrace.guests.patience import Patience


class Host:
    """A clock, and threads that wait for a CPU."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits = {1: 7.0, 2: 0.0}
        self.patience = Patience(5, lambda _pid: dict(self.waits), lambda: self.now)

    def passes(self, seconds: float, **waits: float) -> float:
        self.now += seconds
        for name, wait in waits.items():
            self.waits[int(name[1:])] = self.waits.get(int(name[1:]), 0) + wait
        self.patience.look()
        return self.patience.silence


def test_silence_adds_up_until_something_is_heard() -> None:
    host = Host()
    assert host.passes(1) == 1
    assert host.passes(2) == 3
    host.patience.note_output()
    assert host.passes(1) == 1


def test_silence_begins_at_the_last_word_not_at_the_last_look() -> None:
    host = Host()
    host.now += 0.8
    host.patience.note_output()
    host.now += 0.8
    host.patience.note_output()
    assert host.passes(1) == 1


def test_a_guest_that_waits_for_a_cpu_is_not_silent() -> None:
    host = Host()
    assert host.passes(10, t1=9, t2=1) == 1
    assert host.passes(10, t2=10) == 1
    assert host.passes(10, t1=3, t2=4) == 7  # one thread's, not the sum
    assert host.passes(1, t9=50) == 8  # a thread that is new


def test_looks_are_seldom() -> None:
    host = Host()
    assert host.passes(0.1) == 0
    assert host.passes(0.9) == 1


def test_the_wait_of_threads_is_read_from_the_host() -> None:
    argv = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as child:
        waits = waited_below(os.getpid())
        assert child.pid in waits
        assert all(0 <= wait < 3600 for wait in waits.values())
        assert os.getpid() in waits
        assert child.stdin
        child.stdin.close()
