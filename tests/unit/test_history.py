# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from fakes.kerneltree import commit_all, git, make_kernel
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import add_tree, store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Three revisions: v0, v1 changes one file, v2 another."""
    path = make_kernel(tmp_path / "linux")
    git(path, "tag", "v0")
    for number in (1, 2):
        (path / "mm" / f"new{number}.c").write_text(f"int new{number};\n")
        commit_all(path, f"mm: new {number}")
        git(path, "tag", f"v{number}")
    return path


def test_a_revision_is_the_same_tree_as_when_it_is_added(home: Home, repo: Path) -> None:
    found = find_revision(home, f"{repo}@v1", str)
    assert found.name == f"{repo}@{git(repo, 'rev-parse', 'v1')[:12]}"
    assert (found.version, found.kind) == ("6.1.192", "linux")
    assert found.commit == add_tree(home, "added", str(repo), "v1", str).commit
    assert find_revision(home, found.name, str) == found


def test_only_what_differs_is_copied(home: Home, repo: Path) -> None:
    def packed() -> int:
        text = store(home).git("count-objects", "-v").text
        return int(dict(line.split(": ") for line in text.splitlines())["in-pack"])

    find_revision(home, f"{repo}@v0", str)
    before = packed()
    notes: list[str] = []
    find_revision(home, f"{repo}@v2", notes.append)
    assert packed() - before == 4  # two files, the directory, the top
    assert notes
    notes.clear()
    find_revision(home, f"{repo}@v2", notes.append)
    assert not notes


def test_every_file_of_a_revision_is_there(home: Home, repo: Path) -> None:
    for name in ("v2", "v0", "v1"):
        found = find_revision(home, f"{repo}@{name}", str)
        store(home).git("fsck", "--connectivity-only", found.commit)
    made = store(home).git("ls-tree", "-r", "--name-only", found.commit).text.split()
    assert "mm/new1.c" in made
    assert "mm/new2.c" not in made


def test_the_repository_is_only_read(home: Home, repo: Path) -> None:
    before = sorted((one, one.stat().st_mtime_ns) for one in (repo / ".git").rglob("*"))
    find_revision(home, f"{repo}@v1", str)
    assert sorted((one, one.stat().st_mtime_ns) for one in (repo / ".git").rglob("*")) == before


def test_what_is_no_revision_is_said(home: Home, repo: Path) -> None:
    assert not is_revision("debian:6.1")
    assert is_revision(f"{repo}")  # a checkout stands for its HEAD
    assert not is_revision(f"{repo}/no-such-place")
    assert not is_revision("nowhere@v1")
    with pytest.raises(UserError, match="v9"):
        find_revision(home, f"{repo}@v9", str)
