# SPDX-License-Identifier: GPL-2.0-only
"""Kills, full disks, clocks that jump, two of us at once. 200 kills are in tests/slow."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.kerneltree import commit_all, make_kernel
from mmrace import cli as command_line
from mmrace import home as home_module
from mmrace.building.clock import Clock
from mmrace.building.directory import BuildDirectory
from mmrace.cli.ending import exit_code
from mmrace.errors import InfraError
from mmrace.home import Home, build_lock, write_file
from mmrace.leftover import hold, sweep
from mmrace.proc import can_confine, close_console, console
from mmrace.runs.slots import campaign_key, campaign_slots
from mmrace.sandbox import have_bubblewrap
from mmrace.sources.tree import add_tree

TOP = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": f"{TOP}/harness:{TOP}/tests"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


def quiet(_: str) -> None:
    pass


@pytest.mark.whole
@pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")
def test_a_campaign_that_is_killed_loses_nothing_and_counts_nothing_twice() -> None:
    words = [sys.executable, "-m", "fakes.kills", "5", "3"]
    done = subprocess.run(words, env=ENV, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.match(r"5 kills in \d+ campaigns", done.stdout)


def test_what_is_held_is_not_swept_and_what_is_not_is(home: Home) -> None:
    (home.runs / ".tmp-held-dead" / "deep").mkdir(parents=True)
    (home.runs / ".tmp-held-dead" / "deep" / "file").write_text("x")
    (home.runs / ".tmp-held-file").write_text("x")
    (home.runs / "20260101-run").mkdir()
    with home.scratch(home.runs) as mine:
        assert home.sweep() == 2
        assert mine.is_dir()
        assert {path.name for path in home.runs.iterdir()} == {"20260101-run", mine.name}
    assert home.sweep() == 0


def test_what_a_killed_process_held_is_swept_by_the_next(home: Home, tmp_path: Path) -> None:
    holder = (
        "import os, signal; from pathlib import Path; from mmrace.home import Home, build_lock\n"
        f"home = Home(Path({str(home.cache)!r}), Path({str(home.data)!r}))\n"
        "with home.scratch(home.runs) as made, home.lock('bench-x'):\n"
        " (made / 'file').write_text('x'); print('held', flush=True); signal.pause()\n"
    )
    words = [sys.executable, "-c", holder]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=ENV) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        assert home.sweep() == 0
        process.kill()
    assert home.sweep() == 1
    with home.lock("bench-x", pytest.fail):
        pass


def test_a_bench_for_patches_from_outside_is_swept_when_no_build_is_at_work(home: Home) -> None:
    for name in ("6.1-a-outside", "6.1-b-outside", "6.1-c"):
        (home.builds / name / "build").mkdir(parents=True)
    with home.lock(build_lock("6.1-b-outside")):
        assert home.sweep() == 1
    assert {path.name for path in home.builds.iterdir()} == {"6.1-b-outside", "6.1-c"}


def test_sweeping_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / ".tmp-held-link").symlink_to(tmp_path / "kept")
    assert sweep([tmp_path]) == 0
    assert (tmp_path / "kept/file").is_file()


def test_two_cannot_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    first = hold(tmp_path / "x")
    assert first is not None
    assert hold(tmp_path / "x") is None
    os.close(first)
    assert hold(tmp_path / "gone") is None


def test_a_lock_is_had_on_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(home_module.json, "dumps", full)
    with home.lock("one"), (home.locks / "one").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_age_of_a_lock_is_right_when_the_clock_was_set(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)  # back to 1970
    notes: list[str] = []
    with home.lock("one"):
        monkeypatch.setattr(fcntl, "flock", lambda _file, how: flock(how))

        def flock(how: int) -> None:
            if how & fcntl.LOCK_NB:
                raise BlockingIOError

        with home.lock("one", notes.append):
            pass
    assert re.fullmatch(rf"waiting for one: held by process {os.getpid()} for [0-3] s", notes[0])


@pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")
@pytest.mark.parametrize("room", [40_000, 150_000, 400_000])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_done(tmp_path: Path, room: int) -> None:
    repo = make_kernel(tmp_path / "repo")
    for number in range(40):
        (repo / f"mm/big{number}.c").write_text(f"/* {os.urandom(8000).hex()} */\n")
    commit_all(repo, "big")
    (tmp_path / "home").mkdir()
    words = ["bwrap", "--dev-bind", "/", "/", "--size", str(room), "--tmpfs", tmp_path / "home"]
    script = 'm="$1 -m mmrace"; $m tree add toy $2; echo code $?; $m tree list; find $MMRACE_HOME'
    words += ["sh", "-c", script, "sh", sys.executable, repo]
    env = {**ENV, "MMRACE_HOME": str(tmp_path / "home")}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert "code 69" in done.stdout
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"mmrace: .*([Nn]o space left|disk is full)", last)
    assert ".tmp-" not in done.stdout
    assert "toy" not in done.stdout.partition("code 69")[2]


def test_short_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def short(**_named: object) -> None:
        raise MemoryError

    monkeypatch.setattr(command_line.cli, "main", short)
    assert exit_code(command_line.cli) == 69
    assert capsys.readouterr().err.startswith("mmrace: out of memory; ")


def bench(home: Home) -> BuildDirectory:
    made = BuildDirectory(home, "one")
    with made.at_work():
        (made.build / "old.o").write_text("good")
    return made


def kill_build(made: BuildDirectory) -> None:
    def compile_and_die() -> None:
        (made.build / "cut.o").write_text("cut o")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), made.at_work():
        compile_and_die()


def set_clock(monkeypatch: pytest.MonkeyPatch, wall: float, up: float = 0.0) -> None:
    """Let the host's clock be set by so much, after so much time."""
    now = Clock.now()
    changed = Clock(now.wall + wall + up, now.up + up)
    monkeypatch.setattr(Clock, "now", lambda: changed)


def test_make_does_not_go_by_files_from_before_a_clock_was_set_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(home)
    set_clock(monkeypatch, -3600)
    with made.at_work():
        assert not (made.build / "old.o").exists()
    made = bench(home)
    with made.at_work():
        assert (made.build / "old.o").exists()


@pytest.mark.parametrize(("wall", "up"), [(-3600, 5), (3600, 5), (0, -1e9)])
def test_a_killed_build_with_a_clock_that_was_set_leaves_no_object(
    home: Home, monkeypatch: pytest.MonkeyPatch, wall: float, up: float
) -> None:
    made = bench(home)
    kill_build(made)
    set_clock(monkeypatch, wall, up)
    with made.at_work():
        assert not list(made.build.iterdir())


def test_a_killed_build_with_a_clock_that_was_left_alone_keeps_what_is_older(home: Home) -> None:
    made = bench(home)
    os.utime(made.build / "old.o", (1, 1))
    kill_build(made)
    with made.at_work():
        assert [path.name for path in made.build.iterdir()] == ["old.o"]


def test_qemu_dies_with_the_mmrace_that_started_it() -> None:
    """Even one that ignores SIGTERM and SIGHUP, when mmrace itself is killed."""
    script = "trap '' TERM HUP; echo ready; while true; do sleep 0.1; done"
    starter = (
        "import sys; from mmrace.proc import console\n"
        f"child = console(['sh', '-c', {script!r}]); child.expect('ready')\n"
        "print(child.pid, flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", starter]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENV
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.kill()
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not can_confine(), reason="this host does not let us")
def test_qemu_sees_and_writes_its_run_only_and_has_no_capability(tmp_path: Path) -> None:
    for name in ("run", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "secret").write_text("x")
    script = "grep CapEff /proc/self/status; touch ../x; ls ../home /etc/shadow /root; touch here"
    child = console(["sh", "-c", script], cwd=tmp_path / "run", writable=(tmp_path / "run",))
    output = child.read().decode()
    close_console(child)
    assert "CapEff:\t0000000000000000" in output
    assert "Read-only file system" in output
    assert output.count("No such file") == 3, output
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "run/here").is_file()


@pytest.mark.skipif(not can_confine(), reason="this host does not let us")
def test_qemu_writes_to_a_file_that_is_named_and_has_no_disk_of_the_hosts(tmp_path: Path) -> None:
    run, state, other = tmp_path / "run", tmp_path / "state", tmp_path / "other"
    run.mkdir()
    for file in (state, other):
        file.write_text("as it was")
    script = f"echo new > {state}; echo new > {other}; find /dev -type b | wc -l; ls -d /dev/null"
    child = console(["sh", "-c", script], cwd=run, writable=(run, state))
    words = child.read().decode().split()
    close_console(child)
    assert state.read_text() == "new\n"
    assert other.read_text() == "as it was"
    assert words[-2:] == ["0", "/dev/null"]
    assert list(Path("/dev").iterdir())


def test_what_runs_on_a_console_has_a_memory_limit_and_has_to_be_there() -> None:
    child = console(["sh", "-c", "ulimit -v; ulimit -c"], memory=1 << 30)
    assert [child.readline().strip() for _ in range(2)] == [b"1048576", b"0"]
    close_console(child)
    with pytest.raises(InfraError, match="no-such-qemu: it is not installed"):
        console(["no-such-qemu"])


def test_a_campaign_is_gone_on_with_until_it_has_ended(home: Home) -> None:
    key = campaign_key("a", 1)
    with pytest.raises(KeyboardInterrupt), campaign_slots(home, key, quiet) as first:
        raise KeyboardInterrupt
    with campaign_slots(home, key, quiet) as again:
        assert again.name == first.name
        again.end()
    with campaign_slots(home, key, quiet) as later:
        assert later.name != first.name
    assert campaign_key("a", 2) != key
    write_file(home.data / "campaigns" / f"{key}.json", "{")
    with campaign_slots(home, key, quiet) as fresh:
        assert not fresh.runs


@pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")
def test_an_import_leaves_alone_what_another_process_is_making(tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    repo = make_kernel(tmp_path / "repo")
    with home.scratch(home.trees) as made:  # as the other one makes the store
        add_tree(home, "one", str(repo), None, lambda _text: None)
        assert made.is_dir()


@pytest.mark.skipif(not have_bubblewrap(), reason="needs bubblewrap")
def test_two_at_once_share_a_home(tmp_path: Path) -> None:
    repo = make_kernel(tmp_path / "repo")
    env = {**ENV, "MMRACE_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-m", "mmrace", "tree", "add"]
    both = [
        subprocess.Popen(
            [*words, name, repo], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in ("one", "two", "one", "two")
    ]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0] * 4, outputs
    done = subprocess.run(
        [*words[:-1], "list"], env=env, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["one", "two"]
