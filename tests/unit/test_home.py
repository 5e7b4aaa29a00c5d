# SPDX-License-Identifier: GPL-2.0-only
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.home import Home, publish, write_file


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "cache", tmp_path / "data")


def test_mmrace_home_overrides_xdg():
    environ = {"MMRACE_HOME": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}
    assert Home.from_environment(environ) == Home(Path("/a/cache"), Path("/a/data"))


def test_xdg_and_its_defaults():
    environ = {"XDG_CACHE_HOME": "/b", "HOME": "/c"}
    assert Home.from_environment(environ) == Home(Path("/b/mmrace"), Path("/c/.local/share/mmrace"))


def test_scratch_is_gone_even_after_an_error(home):
    with pytest.raises(RuntimeError), home.scratch(home.runs) as made:  # noqa: PT012
        (made / "file").write_text("x")
        raise RuntimeError
    assert list(home.runs.iterdir()) == []


def test_a_published_scratch_stays(home):
    with home.scratch(home.runs) as made:
        (made / "file").write_text("x")
        publish(made, home.runs / "one")
    assert (home.runs / "one" / "file").read_text() == "x"


def test_the_first_to_publish_wins(home):
    for text in ("first", "second"):
        with home.scratch(home.runs) as made:
            (made / "file").write_text(text)
            publish(made, home.runs / "one")
    assert (home.runs / "one" / "file").read_text() == "first"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_file(path, "old")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_says_who_waits_for_whom(home):
    holder = (
        "import sys, time; from pathlib import Path; from mmrace.home import Home\n"
        f"with Home(Path({str(home.cache)!r}), Path({str(home.data)!r})).lock('kernel'):\n"
        " print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        notes = []

        def waiting(text):
            notes.append(text)
            process.kill()  # a killed holder leaves no stale lock

        with home.lock("kernel", waiting):
            owner = json.loads((home.locks / "kernel").read_text())
    assert f"process {process.pid}" in notes[0]
    assert owner["pid"] == os.getpid()
