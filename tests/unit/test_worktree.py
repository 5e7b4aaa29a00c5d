# SPDX-License-Identifier: GPL-2.0-only
"""A checkout is never silently taken at HEAD, and never written."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakes.kerneltree import commit_all, git, make_kernel, write_kernel
from mmrace.cli import cli
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import add_tree, find_tree, store
from mmrace.sources.worktree import add_worktree, take_worktree


def quiet(_: str) -> None:
    pass


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home/cache", tmp_path / "home/data")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_kernel(tmp_path / "linux")


def times(top: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in top.rglob("*")}


def test_a_clean_checkout_is_its_head(
    home: Home, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "notes.txt").write_text("mine\n")
    (repo / ".gitignore").write_text("*.o\n")
    head = commit_all(repo, "ignore")
    (repo / "mm/walk.o").write_text("built\n")
    (repo / "more.log").write_text("beside it\n")
    before = times(repo)
    monkeypatch.chdir(repo)
    for name in (".", str(repo), f"{repo}/", "./mm"):
        assert is_revision(name)
        tree = find_revision(home, name, quiet)
        assert tree.name == f"{repo}@{head[:12]}"
        assert tree.tree_hash == git(repo, "rev-parse", "HEAD^{tree}")
    assert times(repo) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda top: (top / "mm/walk.c").write_text("int x;\n"), "mm/walk.c"),
        (lambda top: (top / "mm/walk.c").unlink(), "mm/walk.c"),
        (lambda top: (top / "mm/more.c").write_text("int y;\n"), r"mm/more.c \(new\)"),
        (lambda top: git(top, "rm", "-q", "--cached", "mm/walk.c"), "mm/walk.c"),
        (lambda top: write_kernel(top, "6.1.193"), "Makefile"),
    ],
)
def test_a_changed_one_is_refused_in_one_line(
    home: Home, repo: Path, change: object, words: str
) -> None:
    assert callable(change)
    change(repo)
    where = f"^{repo} has uncommitted changes: {words}.*; --dirty takes them, "
    with pytest.raises(UserError, match=f"{where}{repo}@HEAD leaves them out$"):
        find_revision(home, str(repo), quiet)
    with pytest.raises(UserError, match=f"{where}--rev HEAD leaves them out$"):
        add_tree(home, "x", str(repo), None, quiet)
    head = git(repo, "rev-parse", "HEAD^{tree}")
    assert find_revision(home, f"{repo}@HEAD", quiet).tree_hash == head
    assert add_tree(home, "x", str(repo), "HEAD", quiet).tree_hash == head


def test_many_changes_are_counted(home: Home, repo: Path) -> None:
    for number in range(6):
        (repo / f"mm/n{number}.c").write_text("int n;\n")
    with pytest.raises(UserError, match=r"mm/n2.c \(new\) and 3 more; --dirty"):
        find_revision(home, str(repo), quiet)


def test_a_work_tree_is_taken_as_it_is(home: Home, repo: Path) -> None:
    (repo / ".gitignore").write_text("*.o\n")
    commit_all(repo, "ignore")
    (repo / "mm/walk.c").write_text("int changed;\n")
    (repo / "mm/more.c").write_text("int more;\n")
    (repo / "mm/walk.o").write_text("built\n")
    (repo / "mm/other.c").unlink()
    git(repo, "add", "mm/walk.c")
    (repo / "mm/walk.c").write_text("int twice;\n")
    before = times(repo)
    tree = take_worktree(home, str(repo), quiet)
    assert times(repo) == before
    kept = store(home)
    assert kept.file(tree.commit, "mm/walk.c") == b"int twice;\n"
    assert kept.file(tree.commit, "mm/more.c") == b"int more;\n"
    assert kept.file(tree.commit, "mm/other.c") is None
    assert kept.file(tree.commit, "mm/walk.o") is None
    assert tree.name == f"{repo}@{tree.tree_hash}"
    assert take_worktree(home, str(repo), quiet) == tree
    (repo / "mm/walk.c").write_text("int later;\n")
    assert find_revision(home, tree.name, quiet) == tree  # again, from what was kept
    assert take_worktree(home, str(repo), quiet).tree_hash != tree.tree_hash
    named = add_worktree(home, "mine", str(repo), quiet)
    assert find_tree(home, "mine", quiet) == named
    git(repo, "add", "-A")
    assert named.tree_hash == git(repo, "write-tree")


def test_what_is_no_work_tree_to_take(home: Home, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(UserError, match="mmrace tree add NAME DIRECTORY"):
        take_worktree(home, str(tmp_path / "plain"), quiet)
    git(repo, "checkout", "-q", "-b", "side")
    (repo / "mm/walk.c").write_text("int side;\n")
    commit_all(repo, "side")
    git(repo, "checkout", "-q", "main")
    (repo / "mm/walk.c").write_text("int main;\n")
    commit_all(repo, "main")
    with pytest.raises(Exception, match="merge"):
        git(repo, "merge", "-q", "side")
    with pytest.raises(UserError, match="has conflicts; resolve them first"):
        take_worktree(home, str(repo), quiet)


def test_dirty_on_the_command_line(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(repo)
    (repo / "mm/walk.c").write_text("int x;\n")
    words = ["apply", "none", "--tree", ".", "--json"]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, UserError)
    done = CliRunner().invoke(cli, [*words, "--dirty"])
    document = json.loads(done.stdout)
    assert document["tree"] == f"{repo}@{document['tree_hash']}"
    show = ["git", "--git-dir", document["repository"], "show", f"{document['commit']}:Makefile"]
    assert subprocess.run(show, check=True, capture_output=True).stdout
    done = CliRunner().invoke(cli, ["apply", "none", "--tree", "debian:6.1", "--dirty"])
    assert "--dirty: debian:6.1 is not the path of a checkout" in str(done.exception)
