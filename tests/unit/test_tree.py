# SPDX-License-Identifier: GPL-2.0-only
import io
import os
import tarfile
from pathlib import Path

import pytest

from fakes.kerneltree import commit_all, git, make_kernel, pack, write_kernel
from mmrace.errors import InfraError, UserError
from mmrace.home import Home
from mmrace.proc import Completed
from mmrace.sources import debian, source
from mmrace.sources.tree import Tree, add_tree, checkout, export, find_tree, list_trees, store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    return write_kernel(tmp_path / "linux-source-6.1")


def quiet(_: str) -> None:
    pass


def listing(home: Home, tree: Tree) -> dict[str, str]:
    lines = store(home).git("ls-tree", "-r", tree.commit).text.splitlines()
    return {line.split("\t")[1]: line.split()[0] for line in lines}


def test_every_form_of_a_source_gives_the_same_commit(
    home: Home, kernel: Path, tmp_path: Path
) -> None:
    added = [add_tree(home, "dir", str(kernel), None, quiet)]
    for suffix in ("gz", "xz", "bz2"):
        tarball = pack(kernel, tmp_path / f"k.tar.{suffix}")
        added.append(add_tree(home, suffix, str(tarball), None, quiet))
    make_kernel(tmp_path / "repo")
    added.append(add_tree(home, "git", str(tmp_path / "repo"), None, quiet))
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", "repo", "bare.git")
    added.append(add_tree(home, "bare", bare.as_uri(), None, quiet))
    assert {tree.commit for tree in added} == {added[0].commit}
    assert (added[0].version, added[0].kind) == ("6.1.192", "linux")
    assert [tree.name for tree in list_trees(home)] == ["bare", "bz2", "dir", "git", "gz", "xz"]


def test_modes_and_links_are_kept(home: Home, kernel: Path, tmp_path: Path) -> None:
    tarball = pack(kernel, tmp_path / "k.tar.xz")
    files = listing(home, add_tree(home, "k", str(tarball), None, quiet))
    assert files["scripts/run.sh"] == "100755"
    assert files["mm/link.c"] == "120000"
    assert files["mm/walk.c"] == "100644"


def test_a_hard_link_in_a_tarball_is_a_file(home: Home, kernel: Path, tmp_path: Path) -> None:
    os.link(kernel / "mm/walk.c", kernel / "mm/zwalk.c")
    tree = add_tree(home, "k", str(pack(kernel, tmp_path / "k.tar.gz")), None, quiet)
    assert store(home).file(tree.commit, "mm/zwalk.c") == (kernel / "mm/walk.c").read_bytes()


def test_a_revision_of_a_repository_whose_git_is_left_alone(home: Home, tmp_path: Path) -> None:
    repo = make_kernel(tmp_path / "repo")
    old = git(repo, "rev-parse", "HEAD")
    write_kernel(repo, "6.1.193-rc1")
    commit_all(repo, "newer")
    (repo / "notes.txt").write_text("mine\n")
    before = {p: p.lstat().st_mtime_ns for p in repo.rglob("*")}
    assert add_tree(home, "old", str(repo), old[:10], quiet).version == "6.1.192"
    assert add_tree(home, "new", str(repo), None, quiet).version == "6.1.193-rc1"
    assert {p: p.lstat().st_mtime_ns for p in repo.rglob("*")} == before
    with pytest.raises(UserError, match="no revision 'nowhere'"):
        add_tree(home, "x", str(repo), "nowhere", quiet)


def test_a_kernel_version_is_read_whole(home: Home, tmp_path: Path) -> None:
    write_kernel(tmp_path / "k", "6.13.0-rc3")
    assert add_tree(home, "k", str(tmp_path / "k"), None, quiet).version == "6.13.0-rc3"


def test_ltp_is_a_tree_of_its_own_kind(home: Home, tmp_path: Path) -> None:
    top = tmp_path / "ltp"
    (top / "include").mkdir(parents=True)
    (top / "testcases/kernel").mkdir(parents=True)
    (top / "include/tst_test.h").touch()
    (top / "testcases/kernel/Makefile").touch()
    (top / "VERSION").write_text("20260529\n")
    tree = add_tree(home, "ltp", str(top), None, quiet)
    assert (tree.kind, tree.version) == ("ltp", "20260529")


@pytest.mark.parametrize("cut", [100, 300, -30, -4])
@pytest.mark.parametrize("suffix", ["xz", "gz", "bz2"])
def test_a_truncated_tarball_leaves_nothing(
    home: Home, kernel: Path, tmp_path: Path, suffix: str, cut: int
) -> None:
    tarball = pack(kernel, tmp_path / f"k.tar.{suffix}")
    tarball.write_bytes(tarball.read_bytes()[:cut])
    with pytest.raises(UserError, match=rf"k\.tar\.{suffix}: an incomplete tar archive"):
        add_tree(home, "k", str(tarball), None, quiet)
    assert [p.name for p in home.trees.iterdir()] == ["store.git"]
    assert list_trees(home) == []


def test_what_is_no_source_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello/Makefile").write_text("all:\n")
    for name, words in {
        "hello": "neither a kernel nor LTP",
        "absent": "no such file; name a tarball",
    }.items():
        with pytest.raises(UserError, match=words):
            add_tree(home, "x", str(tmp_path / name), None, quiet)
    (tmp_path / "hello/Makefile").write_text("VERSION = 2023\nPATCHLEVEL = 01\n")
    with pytest.raises(UserError, match="no mm/"):
        add_tree(home, "x", str(tmp_path / "hello"), None, quiet)
    with pytest.raises(UserError, match=r"no such directory: \./linux; name a checkout"):
        find_tree(home, "./linux", quiet)
    with pytest.raises(UserError, match="not a name for a tree"):
        add_tree(home, "../x", str(tmp_path / "hello"), None, quiet)
    with pytest.raises(UserError, match="omit --rev v1"):
        add_tree(home, "x", str(tmp_path / "hello"), "v1", quiet)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil"])
def test_a_path_out_of_the_tree_is_refused(home: Home, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "k.tar", "w:") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="outside of its directory"):
        add_tree(home, "k", str(tmp_path / "k.tar"), None, quiet)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../passwd"])
def test_a_link_out_of_the_tree_is_refused(home: Home, kernel: Path, target: str) -> None:
    (kernel / "mm/evil").symlink_to(target)
    with pytest.raises(UserError, match=r"links to .*, out of the tree"):
        add_tree(home, "k", str(kernel), None, quiet)
    assert list_trees(home) == []


def test_files_that_a_repository_lacks_are_left_out_and_said(home: Home, tmp_path: Path) -> None:
    repo = make_kernel(tmp_path / "repo")
    (repo / "drivers").mkdir()
    (repo / "drivers/huge.h").write_text("too large for this mirror\n")
    commit = commit_all(repo, "large")
    blob = git(repo, "rev-parse", "HEAD:drivers/huge.h")
    (repo / ".git/objects" / blob[:2] / blob[2:]).unlink()
    before = set((repo / ".git").rglob("*"))
    notes: list[str] = []
    tree = add_tree(home, "k", str(repo / ".git"), commit, notes.append)
    assert f"{repo}/.git lacks the content of 1 files, left out: drivers/huge.h" in notes
    assert set(listing(home, tree)) == {
        "Kconfig",
        "Makefile",
        "mm/Makefile",
        "mm/link.c",
        "mm/other.c",
        "mm/walk.c",
        "scripts/run.sh",
    }
    assert set((repo / ".git").rglob("*")) == before
    with pytest.raises(UserError, match="no revision"):
        add_tree(home, "k", str(repo), "nowhere", quiet)


def test_a_full_disk_is_said(home: Home, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise InfraError("git fast-import failed", "fatal: write error: No space left on device")

    monkeypatch.setattr(source, "fetch", full)
    with pytest.raises(InfraError, match="disk is full"):
        add_tree(home, "k", str(kernel), None, quiet)
    assert [p.name for p in home.trees.iterdir()] == ["store.git"]


def test_an_interrupted_import_leaves_nothing(home: Home, kernel: Path) -> None:
    def interrupt(text: str) -> None:
        if "files" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_tree(home, "k", str(kernel), None, interrupt)
    assert [p.name for p in home.trees.iterdir()] == ["store.git"]
    (home.trees / ".tmp-dead").mkdir()  # of a killed one
    add_tree(home, "k", str(kernel), None, quiet)
    assert sorted(p.name for p in home.trees.iterdir()) == ["k.toml", "store.git"]


def test_debian_adds_itself_and_notices_a_new_release(
    home: Home, kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "INSTALLED", tmp_path)
    tarball = pack(kernel, tmp_path / "linux-source-6.1.tar.xz")
    notes: list[str] = []
    first = find_tree(home, "debian:6.1", notes.append)
    notes.clear()
    assert find_tree(home, "debian:6.1", notes.append) == first
    assert notes == []
    write_kernel(kernel, "6.1.195")
    pack(kernel, tarball)
    assert find_tree(home, "debian:6.1", notes.append).version == "6.1.195"
    assert notes[-1] == "debian:6.1 was 6.1.192, Debian's source is 6.1.195 now"
    tarball.unlink()
    assert find_tree(home, "debian:6.1", quiet).version == "6.1.195"


def test_an_unknown_tree_names_those_there_are(home: Home, kernel: Path) -> None:
    add_tree(home, "mine", str(kernel), None, quiet)
    with pytest.raises(UserError, match=r"no tree named 'yours'; known: mine"):
        find_tree(home, "yours", quiet)
    with pytest.raises(UserError, match="say debian:6"):
        find_tree(home, "debian:bookworm", quiet)


def test_a_checkout_touches_what_differs(home: Home, kernel: Path, tmp_path: Path) -> None:
    first = add_tree(home, "a", str(kernel), None, quiet)
    (kernel / "mm/walk.c").write_text("int other;\n")
    (kernel / "mm/new.c").write_text("int new;\n")
    second = add_tree(home, "b", str(kernel), None, quiet)
    folder = tmp_path / "bench/source"
    checkout(home, first.commit, folder)
    before = {p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    (tmp_path / "bench/source.index.lock").touch()  # of a killed checkout
    checkout(home, first.commit, folder)
    checkout(home, second.commit, folder)
    fresh = {p.name for p in folder.rglob("*") if p.stat().st_mtime_ns > max(before)}
    assert fresh == {"walk.c", "new.c", "mm"}
    assert os.access(folder / "scripts/run.sh", os.X_OK)
    assert not (folder / ".git").exists()
    (folder / "mm/walk.c").write_text("meddled with\n")
    checkout(home, second.commit, folder)
    assert (folder / "mm/walk.c").read_text() == "int other;\n"
    checkout(home, first.commit, folder)
    assert not (folder / "mm/new.c").exists()


def test_an_export_has_only_what_was_asked_for(home: Home, kernel: Path, tmp_path: Path) -> None:
    tree = add_tree(home, "a", str(kernel), None, quiet)
    export(home, tree.commit, ["mm/", "scripts/run.sh"], tmp_path / "out")
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert files == ["mm/link.c", "mm/other.c", "mm/walk.c", "scripts/run.sh"]
    assert not (tmp_path / "out/Makefile").exists()
    with pytest.raises(UserError, match="tools/absent is not in the tree"):
        export(home, tree.commit, ["mm", "tools/absent"], tmp_path / "other")


def test_a_disk_that_fills_up_under_git_is_one_line(
    home: Home, kernel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tree = add_tree(home, "k", str(kernel), None, quiet)
    errors = "".join(
        f"error: unable to write file mm/{n}.c: No space left\n" for n in range(65_949)
    )
    failed = Completed(("git",), 128, b"", f"{errors}fatal: unable to checkout\n".encode(), 1.0)
    monkeypatch.setattr("mmrace.sources.git.run", lambda *_args, **_named: failed)
    with pytest.raises(InfraError) as caught:
        checkout(home, tree.commit, tmp_path / "out")
    assert "the disk is full; `mmrace clean --yes` frees" in caught.value.message
    assert caught.value.detail == ""
    failed = Completed(("git",), 128, b"", b"error: bad file\n" * 65_949, 1.0)
    with pytest.raises(InfraError) as caught:
        checkout(home, tree.commit, tmp_path / "out")
    assert caught.value.detail.count("\n") < 30
