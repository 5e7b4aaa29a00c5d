# SPDX-License-Identifier: GPL-2.0-only
"""What the home holds, and what of it may go."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace import storage
from mmrace.errors import UserError
from mmrace.home import LIMIT, Home, build_lock, program_lock, source_lock
from mmrace.leftover import keep, take_away

ENV = {**os.environ, "PYTHONPATH": "harness", "MMRACE_HOME_LIMIT": ""}
MB = 10**6


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


def thing(home: Home, kind: str, name: str, *, days: float = 0, size: int = MB) -> Path:
    """Make one object of a kind that was used so many days ago."""
    path: Path = getattr(home, kind) / (f"{name}.tar.xz" if kind == "downloads" else name)
    if kind in ("images", "packs", "downloads"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    else:
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"x" * size)
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    return path


def held(home: Home, path: Path) -> storage.Holding:
    return next(item for item in storage.holdings(home) if item.path == path)


@contextmanager
def another(home: Home, statement: str) -> Iterator[None]:
    """Another process that does something to the home, and goes on living for a while."""
    script = (
        "import sys; from pathlib import Path; from mmrace.home import Home\n"
        "from mmrace.leftover import keep\n"
        f"home = Home(Path({str(home.cache)!r}), Path({str(home.data)!r}))\n"
        f"{statement}\n"
    )
    words = [sys.executable, "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": ENV}
    with subprocess.Popen(words, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "there\n"
        yield
        process.stdin.close()


WAIT = "print('there', flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    ("kind", "lock"),
    [
        ("builds", build_lock("one")),
        ("programs", program_lock("one")),
        ("sources", source_lock("one")),
    ],
)
def test_what_is_built_in_is_not_removed(home: Home, kind: str, lock: str) -> None:
    path = thing(home, kind, "one", days=90)
    with another(home, f"with home.lock({lock!r}):\n {WAIT}"):
        assert not storage.drop(home, held(home, path))
        assert (path / "file").is_file()
    assert storage.drop(home, held(home, path))
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("kind", ["kernels", "programs", "images"])
def test_what_a_process_uses_is_not_removed(home: Home, kind: str) -> None:
    path = thing(home, kind, "one", days=90)
    with another(home, f"assert keep(home.{kind} / 'one'); {WAIT}"):
        item = held(home, path)
        assert item.age < 3600  # it was used now
        assert not storage.drop(home, item)
        assert path.exists()
    assert storage.drop(home, held(home, path))


def test_the_compiler_cache_is_not_removed_under_a_build(home: Home) -> None:
    path = thing(home, "ccache", "0")
    with another(home, f"with home.lock('ccache', shared=True):\n {WAIT}"):
        with home.lock("ccache", shared=True):
            assert not storage.drop(home, held(home, path.parent))
        assert not storage.drop(home, held(home, path.parent))
    assert storage.drop(home, held(home, path.parent))


def test_what_is_gone_cannot_be_used(home: Home) -> None:
    path = thing(home, "kernels", "one")
    assert keep(path)
    assert keep(path)
    assert not take_away(path)  # by ourselves neither
    path.rename(path.with_name("other"))
    assert not keep(path)
    thing(home, "kernels", "one")
    assert keep(path)


def test_clean_frees_by_age_and_kind_and_leaves_what_is_in_use(home: Home, tmp_path: Path) -> None:
    old, young = (thing(home, "builds", name, days=n) for name, n in (("old", 40), ("new", 1)))
    busy = thing(home, "builds", "busy", days=40)
    run = thing(home, "runs", "run", days=40)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/cache").symlink_to(home.cache)  # a home whose directories are links
    (tmp_path / "m/data").symlink_to(home.data)
    words = [sys.executable, "-m", "mmrace", "--json", "clean", "--yes"]
    env = {**ENV, "MMRACE_HOME": str(tmp_path / "m")}
    with another(home, f"with home.lock({build_lock('busy')!r}):\n {WAIT}"):
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert {Path(name).name for name in document["chosen"]} == {"old", "busy"}
    assert {Path(name).name for name in document["kept"]} == {"busy"}
    assert document["limit"] == LIMIT
    assert not old.exists()
    assert all(path.exists() for path in (young, busy, run))


def test_on_a_full_disk_age_is_no_reason_to_keep_what_can_be_made_again(home: Home) -> None:
    for kind in storage.KINDS:
        thing(home, kind, "one", days=1)
    items = storage.holdings(home)
    assert storage.choose(items, (), None, full=False) == []
    chosen = storage.choose(items, (), None, full=True)
    assert {item.kind for item in chosen} == set(storage.REBUILT)
    assert storage.choose(items, (), 30, full=True) == []


def test_the_least_recently_used_goes_first_and_no_more_than_needed(home: Home) -> None:
    names = {"a": 3, "b": 9, "c": 6}
    paths = {name: thing(home, "kernels", name, days=n) for name, n in names.items()}
    thing(home, "runs", "run", days=99)
    total = sum(item.size for item in storage.holdings(home))
    dropped = storage.make_room(replace(home, limit=total - 1))
    assert [item.path.name for item in dropped.items] == ["b"]
    assert str(dropped) == "dropped 1 kernels (1 MB)"
    assert storage.make_room(replace(home, limit=total)).items == ()
    with another(home, f"assert keep(home.kernels / 'c'); {WAIT}"):
        dropped = storage.make_room(replace(home, limit=1))
        assert [item.path.name for item in dropped.items] == ["a"]
        assert "dropped 1 kernels (1 MB); the home holds 2 MB, its limit is 0 MB" in str(dropped)
    assert paths["c"].exists()


def test_files_with_other_names_are_counted_once(home: Home) -> None:
    shared = thing(home, "sources", "6.1")
    bench = thing(home, "builds", "6.1-a", size=MB)
    os.link(shared / "file", bench / "linked")
    sizes = {item.kind: item.size for item in storage.holdings(home)}
    assert sizes["sources"] >= MB
    assert MB <= sizes["builds"] < 1.1 * MB


def test_a_shared_source_goes_when_nothing_is_built_from_it(home: Home) -> None:
    small = replace(home, limit=1)
    with home.lock(build_lock("6.1-a")):
        thing(home, "sources", "6.1")
        thing(home, "builds", "6.1-a")
        assert storage.make_room(small).items == ()
    gone = storage.make_room(small).items
    assert [item.kind for item in gone] == ["builds", "sources"]


def test_a_download_that_may_be_on_its_way_in_stays(home: Home) -> None:
    path = thing(home, "downloads", "linux")
    assert storage.make_room(replace(home, limit=1)).items == ()
    assert path.exists()


@pytest.mark.parametrize(
    ("text", "limit"), [("20G", 20 * 10**9), ("1.5GB", 1_500_000_000), ("7", 7), ("", LIMIT)]
)
def test_the_limit_is_the_users(text: str, limit: int) -> None:
    assert Home.from_environment({"MMRACE_HOME_LIMIT": text, "HOME": "/c"}).limit == limit


def test_a_limit_that_is_no_size_is_refused() -> None:
    with pytest.raises(UserError, match=r"MMRACE_HOME_LIMIT='much' is not a size; .* 20G"):
        Home.from_environment({"MMRACE_HOME_LIMIT": "much", "HOME": "/c"})


def test_a_bench_that_another_home_builds_in_is_neither_swept_nor_dropped(
    home: Home, tmp_path: Path
) -> None:
    """Two homes whose caches are one: their locks are not."""
    other = Home(tmp_path / "link", tmp_path / "other-data", limit=1)
    other.cache.symlink_to(home.cache)
    bench = thing(home, "builds", "6.1-a-outside", days=9)
    with another(
        home, f"from mmrace.leftover import holding\nwith holding(Path({str(bench)!r})):\n {WAIT}"
    ):
        assert other.sweep() == 0
        assert storage.make_room(other).items == ()
        assert (bench / "file").exists()
    assert other.sweep() == 1
    assert not bench.exists()


def test_notes_beside_kernels_are_no_kernels(home: Home) -> None:
    thing(home, "kernels", "requests", days=90)
    thing(home, "kernels", "objects", days=90)
    assert storage.holdings(home) == ()
    assert storage.make_room(replace(home, limit=1)).items == ()
