# SPDX-License-Identifier: GPL-2.0-only
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.sandbox import guest_view


def test_output_and_exit_code_come_back():
    done = proc.run(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=10)
    assert (done.returncode, done.text, done.errors) == (3, "out\n", "err\n")


def test_lines_are_told_as_they_come():
    seen = []
    done = proc.run(["sh", "-c", "echo a; echo b >&2; exit 1"], deadline=10, on_line=seen.append)
    assert sorted(seen) == ["a", "b"]
    assert (done.returncode, done.text, done.errors) == (1, "a\n", "b\n")


@pytest.mark.parametrize("on_line", [None, lambda _line: None])
def test_a_deadline_ends_the_whole_group(tmp_path, on_line):
    mark = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {mark}; wait"
    started = time.monotonic()
    with pytest.raises(InfraError, match="sh was stopped after"):
        proc.run(["sh", "-c", script], deadline=2, on_line=on_line)
    assert time.monotonic() - started < 20
    assert ends(int(mark.read_text()))


# As the child of a bwrap does that died before it had set it up: only SIGKILL ends it.
DEAF = (
    "(trap '' HUP TERM; sh -c 'echo $PPID' > {mark}.new; mv {mark}.new {mark}; exec sleep 60) & "
    "wait"
)


def test_closing_a_console_ends_the_whole_group(tmp_path):
    mark = tmp_path / "pid"
    child = proc.console(["sh", "-c", DEAF.format(mark=mark)])
    pid = appeared(mark)
    proc.close_console(child)
    assert ends(pid)


@pytest.mark.parametrize(
    "call",
    [
        "proc.console(['sh', '-c', script]).wait()",
        "proc.run(['sh', '-c', script], deadline=60, sandbox=proc.Sandbox(bare=True))",
    ],
)
def test_a_whole_group_dies_with_mmrace(tmp_path, call):
    mark = tmp_path / "pid"
    words = f"from mmrace import proc\nscript = {DEAF.format(mark=mark)!r}\n{call}"
    with subprocess.Popen([sys.executable, "-c", words]) as ours:
        pid = appeared(mark)
        os.kill(ours.pid, signal.SIGKILL)
    assert ends(pid)


def appeared(mark):
    """Return the process ID in a file, once the file is there."""
    end = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return int(mark.read_text())


def ends(pid):
    """Whether a process ends soon."""
    end = time.monotonic() + 10
    while running(pid) and time.monotonic() < end:  # it was signalled, it may still be dying
        time.sleep(0.02)
    return not running(pid)


def running(pid):
    """Whether a process still runs; a zombie that waits for init to reap it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_is_not_there():
    with pytest.raises(InfraError, match="nowhere"):
        proc.run(["/nowhere/program"], deadline=1)


def test_standard_input_reaches_the_program():
    assert proc.run(["cat"], deadline=5, stdin=b"hello").stdout == b"hello"


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not here")
def test_what_stands_against_a_sandbox_is_said(monkeypatch):
    assert proc.sandbox_fault() == ""
    monkeypatch.setattr("mmrace.proc.guest_view", lambda *_args: ["false"])
    proc.can_confine.cache_clear()
    assert not proc.can_confine()
    proc.can_confine.cache_clear()
    monkeypatch.setattr(
        "mmrace.sandbox._tight", lambda _limits: ["--unshare-all", "--bind", "/gone", "/gone"]
    )
    assert re.match(r"the sandbox cannot be set up: bwrap: .*/gone", proc.sandbox_fault())
    monkeypatch.setenv("PATH", "/gone")
    assert proc.sandbox_fault() == "no bubblewrap"


def test_the_sandbox_sees_its_binds_and_no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    writable = tmp_path / "out"
    writable.mkdir()
    sandbox = proc.Sandbox((proc.Bind(writable, "/build", writable=True),), cwd="/build")
    script = "pwd; echo ${SECRET:-none}; ls /home /root 2>&1 | head -1; touch made; touch /usr/x"
    done = proc.run(["sh", "-c", script], deadline=10, sandbox=sandbox, env={"A": "b"})
    lines = done.text.splitlines()
    assert lines[:2] == ["/build", "none"]
    assert "No such file" in lines[2]
    assert (writable / "made").exists()
    assert "Read-only" in done.errors


@pytest.mark.skipif(not proc.can_confine(), reason="needs bubblewrap")
def test_what_may_be_written_may_lie_behind_links(tmp_path):
    """A home on another disk, whose directories are absolute and relative links."""
    there = tmp_path / "disk/runs/one"
    there.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/data").symlink_to(tmp_path / "disk")
    (tmp_path / "home/link").symlink_to("data/runs")
    for number, folder in enumerate((tmp_path / "home/data/runs/one", tmp_path / "home/link/one")):
        words = guest_view(["touch", f"made{number}"], (folder,), (), folder)
        done = proc.run(words, deadline=20)
        assert (done.returncode, done.errors) == (0, "")
        assert (there / f"made{number}").exists()
    done = proc.run(guest_view(["touch", there / "not"], (), (there,), there), deadline=20)
    assert done.returncode != 0
