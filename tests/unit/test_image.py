# SPDX-License-Identifier: GPL-2.0-only
import os
from pathlib import Path

import pytest
from test_cpio import parse

from mmrace.definitions.race import Probe, Source
from mmrace.errors import InfraError, UserError
from mmrace.home import Home
from mmrace.userland import cpio
from mmrace.userland.image import Job, job_segment, make_image


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def init(tmp_path: Path) -> Path:
    path = tmp_path / "init"
    path.write_bytes(b"PID 1")
    return path


def test_image_holds_init_and_programs(home: Home, init: Path, tmp_path: Path) -> None:
    program = tmp_path / "storm"
    program.write_bytes(b"program")
    image = make_image(home, init, [program])
    members = {entry.path: entry for entry in parse(image.read_bytes())}
    assert members["init"].content == b"PID 1"
    assert members["init"].mode & 0o111
    assert members["mmrace/bin/storm"].content == b"program"
    assert members["dev/console"].device == (5, 1)
    assert b"nobody" in members["etc/passwd"].content
    assert "bin/busybox" not in members


def test_image_can_hold_a_shell(home: Home, init: Path) -> None:
    image = make_image(home, init, [], busybox=init)
    members = {entry.path: entry for entry in parse(image.read_bytes())}
    assert members["bin/sh"].content == b"busybox"
    assert members["bin/busybox"].content == b"PID 1"


def test_directories_come_before_their_content(home: Home, init: Path) -> None:
    seen: set[str] = {""}
    for entry in parse(make_image(home, init, [init], busybox=init).read_bytes()):
        assert str(Path(entry.path).parent).removeprefix(".") in seen
        seen.add(entry.path)


def test_image_is_reused_until_an_input_changes(home: Home, init: Path) -> None:
    first = make_image(home, init, [])
    os.utime(first, (1, 1))
    assert make_image(home, init, []) == first
    assert first.stat().st_mtime == 1
    init.write_bytes(b"another")
    assert make_image(home, init, []) != first


def test_missing_program_is_named(home: Home, init: Path, tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="gone"):
        make_image(home, init, [tmp_path / "gone"])


def test_job_file() -> None:
    job = Job(
        name="move",
        argv=("uffd-move", "-p", "two words"),
        seconds=60,
        seed=7,
        env={"B": "2", "A": "1 x"},
        hugepages=(64, 0),
        probes=(
            Probe(name="cleared", function=("new_name", "old_name")),
            Probe(name="shifted", function=("shift",), returns=0),
        ),
        writes=(("/proc/sys/vm/x", "1 2"),),
    )
    assert job.render().splitlines() == [
        "name move",
        "seconds 60.000",
        "at-most 60.000",
        "seed 7",
        "iterations 0",
        "failures 1",
        "skip 4 0",
        "hugepages 0 64",
        "hugepages 1 0",
        "write /proc/sys/vm/x 1 2",
        "probe cleared new_name,old_name",
        "probe shifted shift 0",
        "env A=1 x",
        "env B=2",
        "arg uffd-move",
        "arg -p",
        "arg two words",
        "announced ",
    ]


def test_ltp_skips_and_fails_by_its_own_codes() -> None:
    lines = Job("m", ("m",), 1, source=Source.LTP).render().splitlines()
    assert "skip 32 4" in lines
    assert "failures 10" in lines
    assert "failures 99" in Job("m", ("m",), 1, source=Source.LTP, failures=99).render()


@pytest.mark.parametrize("bad", ["a\nshell ", "a\0b", "a\x1bb"])
def test_a_value_cannot_become_another_line(bad: str) -> None:
    with pytest.raises(UserError, match="arg"):
        Job("m", ("m", bad), 1).render()


def test_more_arguments_than_the_guest_takes() -> None:
    with pytest.raises(UserError, match="more than 64 of arg"):
        Job("m", ("x",) * 65, 1).render()


def test_job_segment_follows_an_image(home: Home, init: Path) -> None:
    job = Job("m", ("m",), 1, interactive=True)
    whole = make_image(home, init, []).read_bytes() + job_segment(job)
    *_, last = parse(whole)
    assert last.path == "mmrace/job"
    assert last.content.decode() == job.render()
    assert "shell" in job.render()
    *_, last = parse(job_segment(job, b"CONFIG_KSM=y"))
    assert last == cpio.file("mmrace/config", b"CONFIG_KSM=y")
