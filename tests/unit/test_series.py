# SPDX-License-Identifier: GPL-2.0-only
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.kerneltree import commit_all, git
from fakes.toydesk import BASE, toy_home, toy_template
from mmrace.definitions.base import Base, base_for, load_bases
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.patching.series import Applied, apply_series, resolve_series, with_build
from mmrace.sources.tree import Tree, add_tree, find_tree, store


def quiet(_: str) -> None:
    pass


@dataclass
class Bench:
    """A user's repository with two changes on top of a toy kernel, and the tree without them."""

    home: Home
    repo: Path
    tree: Tree
    base: Base

    def apply(self, *names: str | Path) -> Applied:
        series = [resolve_series(str(name), self.base) for name in names]
        return apply_series(self.home, self.tree, series, quiet)

    def file(self, commit: str, path: str) -> str:
        return (store(self.home).file(commit, path) or b"").decode()

    def mails(self, revisions: str = "start..HEAD") -> str:
        return git(self.repo, "format-patch", "--stdout", revisions) + "\n"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def commit(repo: Path) -> None:
    edit(repo / "mm/walk.c", "return 3", "return 33")
    commit_all(repo, "mm/walk: make step 3 longer\n\nJürgen measured it.")
    edit(repo / "mm/walk.c", "return 5", "return 55")
    (repo / "mm/new.c").write_text("int new;\n")
    git(repo, "mv", "mm/other.c", "mm/moved.c")
    commit_all(repo, "mm/walk: make step 5 longer")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every test starts from, made once: a repository, the tree of its start, a base."""
    base = BASE + '[race.a]\npristine = "has"\n'
    top = toy_template(tmp_path_factory.mktemp("template"), commit, base)
    (top / "patches/make.toml").write_text("")
    return top


@pytest.fixture
def bench(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    home = toy_home(template, tmp_path, monkeypatch)
    return Bench(home, tmp_path / "repo", find_tree(home, "toy", quiet), load_bases()[0])


def write_series(bench: Bench, name: str, race: str, revisions: str) -> None:
    folder = bench.base.folder / name
    git(bench.repo, "format-patch", "-q", "-o", str(folder / race), revisions)
    with (folder / "series").open("a") as file:
        file.write(f"# {race}\n")
        file.writelines(
            f"{race}/{path.name}  # why\n" for path in sorted((folder / race).iterdir())
        )


def test_every_form_of_a_series_gives_the_same_commit(bench: Bench, tmp_path: Path) -> None:
    box = tmp_path / "series.mbox"
    box.write_text(bench.mails())
    plain, quilt = tmp_path / "plain", tmp_path / "quilt"
    for folder in (plain, quilt):
        git(bench.repo, "format-patch", "-q", "--cover-letter", "-o", str(folder), "start..HEAD")
    for number, path in enumerate(sorted(quilt.glob("000[12]*"))):
        path.rename(quilt / f"{9 - number}.patch")
    (quilt / "series").write_text("# order is ours\n9.patch -p1\n\n8.patch\n")
    crlf = tmp_path / "crlf.mbox"
    crlf.write_bytes(bench.mails().replace("\n", "\r\n").encode())
    for name in ("cur", "new", "tmp"):
        (tmp_path / "maildir" / name).mkdir(parents=True)
    for number, path in enumerate(sorted(plain.iterdir())):
        (tmp_path / f"maildir/cur/{number}:2,S").write_bytes(path.read_bytes().split(b"\n", 1)[1])
    forms = (box, plain, quilt, crlf, tmp_path / "maildir", f"{bench.repo}#start..HEAD")
    made = [bench.apply(form) for form in forms]
    series = resolve_series("-", bench.base, box.read_bytes())
    made.append(apply_series(bench.home, bench.tree, [series], quiet))
    assert {item.commit for item in made} == {made[0].commit}
    head = git(bench.repo, "rev-parse", "HEAD^{tree}")
    assert made[0].tree_hash == head
    assert len(made[0].applied) == 2
    log = store(bench.home).git("log", "-1", "--format=%an %cn %cs%n%B", f"{made[0].commit}^").text
    assert log.startswith("Tess Ter mmrace 2000-01-01\nmm/walk: make step 3 longer\n")
    assert "Jürgen measured it." in log


def test_the_user_repository_is_not_written(bench: Bench) -> None:
    before = {p: p.lstat().st_mtime_ns for p in bench.repo.rglob("*")}
    bench.apply(f"{bench.repo}#start..HEAD")
    assert {p: p.lstat().st_mtime_ns for p in bench.repo.rglob("*")} == before


def test_inside_a_git_hook_nothing_changes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(key, str(tmp_path / "elsewhere"))
    tree = add_tree(bench.home, "again", str(bench.repo), "start", quiet)
    assert tree.commit == bench.tree.commit
    head = git(bench.repo, "rev-parse", "HEAD^{tree}")
    assert bench.apply(f"{bench.repo}#start..HEAD").tree_hash == head
    assert not (tmp_path / "elsewhere").exists()


def test_a_plain_diff_is_a_patch(bench: Bench, tmp_path: Path) -> None:
    diff = git(bench.repo, "diff", "start", "HEAD~1") + "\n"
    (tmp_path / "one.diff").write_text("Why this is done.\n\n" + diff)
    made = bench.apply(tmp_path / "one.diff")
    assert "return 33" in bench.file(made.commit, "mm/walk.c")
    body = store(bench.home).git("log", "-1", "--format=%B", made.commit).text
    assert body.strip() == "one\n\nWhy this is done."


def test_what_is_there_is_found_by_content(bench: Bench, tmp_path: Path) -> None:
    box = tmp_path / "both.mbox"
    box.write_text(bench.mails())
    (tmp_path / "first.patch").write_text(bench.mails("start..HEAD~1"))
    once = bench.apply(box)
    twice = bench.apply(box, box)
    assert twice.commit == once.commit
    assert twice.already == once.applied == ("both.mbox#1", "both.mbox#2")
    first = bench.apply(tmp_path / "first.patch", box)
    assert (first.applied, first.already) == (("first.patch", "both.mbox#2"), ("both.mbox#1",))
    assert first.tree_hash == once.tree_hash


def test_a_patch_that_does_not_fit_is_explained(bench: Bench, tmp_path: Path) -> None:
    add_tree(bench.home, "other", str(bench.repo), "HEAD~1", quiet)
    (tmp_path / "late.patch").write_text(bench.mails("HEAD~1..HEAD"))
    edit(bench.repo / "mm/walk.c", "return 33", "return 333")
    commit_all(bench.repo, "mm/walk: even longer")
    (tmp_path / "bad.patch").write_text(bench.mails("HEAD~1..HEAD"))
    with pytest.raises(UserError) as caught:
        bench.apply(tmp_path / "late.patch", tmp_path / "bad.patch")
    assert caught.value.message.startswith("bad.patch does not apply to toy: hunk 1 of mm/walk.c,")
    assert caught.value.message.endswith(" line 15; the whole series applies to other (base 6.1)")
    assert "-\treturn 33;" in caught.value.detail
    assert "    18 \treturn 3;" in caught.value.detail
    assert list((bench.home.cache / "series").iterdir()) == []
    assert not (bench.home.trees / "applied").exists()


def test_changed_surroundings_are_merged_three_way_and_said(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_text(
        git(bench.repo, "format-patch", "--stdout", "--full-index", "start..HEAD~1") + "\n"
    )
    git(bench.repo, "checkout", "-q", "start")
    edit(bench.repo / "mm/walk.c", "int step_4", "long step_4")
    commit_all(bench.repo, "mm/walk: nearby")
    bench.tree = add_tree(bench.home, "near", str(bench.repo), None, quiet)
    made = bench.apply(tmp_path / "a.patch")
    assert made.notes == ("a.patch: the file has changed since; merged three-way",)
    assert "return 33" in bench.file(made.commit, "mm/walk.c")
    assert "long step_4" in bench.file(made.commit, "mm/walk.c")


def test_the_second_time_comes_from_the_record(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "both.mbox").write_text(bench.mails())
    first = bench.apply(tmp_path / "both.mbox")
    monkeypatch.setattr("mmrace.patching.applied._Bench", None)
    assert bench.apply(tmp_path / "both.mbox") == first
    assert first.touched[0] == ("mm/moved.c", "both.mbox#2")


def test_a_git_that_was_killed_leaves_no_lock_in_the_way(bench: Bench, tmp_path: Path) -> None:
    box = tmp_path / "both.mbox"
    box.write_text(bench.mails())
    made = bench.apply(box)
    ref = next((store(bench.home).path / "refs/mmrace/applied").iterdir())
    (ref.parent / f"{ref.name}.lock").write_text("")
    (bench.home.trees / "applied" / f"{ref.name}.json").unlink()
    assert bench.apply(box) == made
    tree = next((store(bench.home).path / "refs/mmrace/trees").iterdir())
    (tree.parent / f"{tree.name}.lock").write_text("")
    add_tree(bench.home, "toy", str(bench.repo), "start", quiet)


def test_series_of_a_base(bench: Bench) -> None:
    write_series(bench, "vulnerable", "a", "start..HEAD~1")
    write_series(bench, "fixes", "b", "HEAD~1..HEAD")
    write_series(bench, "alternatives/other-way", "b", "HEAD~1..HEAD")
    made = bench.apply("vulnerable", "fixes")
    assert [name.split("/")[0] for name in made.applied] == ["a", "b"]
    assert bench.apply("fixes/b").applied == bench.apply("alternatives/other-way").applied
    assert bench.apply("none").commit == bench.tree.commit
    assert resolve_series("none", bench.base).outside is False
    for name in ("fixes/zzz", "alternatives/zzz", "vulnerable/zzz", "zzz"):
        with pytest.raises(UserError, match=f"no series '{name}' for base 6.1; known: none, alt"):
            resolve_series(name, bench.base)


def test_a_base_that_has_the_bug_needs_no_vulnerable(bench: Bench) -> None:
    assert resolve_series("vulnerable", bench.base).patches == ()
    assert resolve_series("vulnerable/a", bench.base).patches == ()


def test_a_fix_in_other_words_is_there_already(bench: Bench) -> None:
    """The tree has upstream's fix (return 3); ours says it otherwise, on the vulnerable tree."""
    write_series(bench, "vulnerable", "a", "start..HEAD~1")
    git(bench.repo, "checkout", "-q", "HEAD~1")
    edit(bench.repo / "mm/walk.c", "return 33", "return 1 + 2")
    commit_all(bench.repo, "mm/walk: our own way")
    write_series(bench, "fixes", "a", "HEAD~1..HEAD")
    made = bench.apply("fixes")
    assert made.already == ("a/0001-mm-walk-our-own-way.patch",)
    assert made.commit == bench.tree.commit
    assert bench.apply("vulnerable", "fixes").already == ()


def test_what_a_tree_needs_to_be_compiled_comes_first_and_once(bench: Bench) -> None:
    assert with_build(("fixes",), bench.base) == ("fixes",)
    folder = bench.base.folder / "build"
    git(bench.repo, "format-patch", "-q", "-o", str(folder), "start..HEAD~1")
    (folder / "series").write_text("0001-mm-walk-make-step-3-longer.patch\n")
    write_series(bench, "fixes", "a", "HEAD~1..HEAD")
    names = with_build(("fixes",), bench.base)
    assert names == ("build", "fixes")
    assert with_build(names, bench.base) == names
    assert resolve_series("build", bench.base).outside is False
    made = bench.apply(*names)
    assert [name.partition("/")[0][:4] for name in made.applied] == ["0001", "a"]
    assert made.tree_hash == bench.apply("build", "fixes/a").tree_hash
    assert not made.already


def test_marks_show_what_is_there(bench: Bench) -> None:
    """A tree that has the fix in words of its own, and fixes that mmrace has no patch for."""
    write_series(bench, "fixes", "a", "start..HEAD~1")
    fixed = '[{ file = "mm/walk.c", contains = "return 333" }]'
    old = '[{ file = "mm/gone.c", contains = "bug", absent = true }]'
    never = '[{ file = "mm/walk.c", contains = "nothing like it" }]'
    path = bench.base.folder / "BASE.toml"
    states = "".join(
        f'[race.{race}]\npristine = "fixed"\nfixed_if = {marks}\n'
        for race, marks in {"a": fixed, "b": old, "c": never}.items()
    )
    path.write_text(path.read_text().partition("[race")[0] + states)
    bench.base = load_bases()[0]
    made = bench.apply("fixes")
    assert (made.applied, made.already) == (("a/0001-mm-walk-make-step-3-longer.patch",), ("b",))
    assert made.notes == ("c: neither fixed in this tree, nor is there a patch",)
    git(bench.repo, "checkout", "-q", "start")
    edit(bench.repo / "mm/walk.c", "return 3;", "return 333;")
    commit_all(bench.repo, "mm/walk: in other words")
    bench.tree = add_tree(bench.home, "next", str(bench.repo), None, quiet)
    made = bench.apply("fixes")
    assert made.already == ("a/0001-mm-walk-make-step-3-longer.patch", "b")
    assert (made.applied, made.commit) == ((), bench.tree.commit)
    assert bench.apply("fixes/b").already == ("b",)
    with pytest.raises(UserError, match="no series 'fixes/zzz'"):
        resolve_series("fixes/zzz", bench.base)


def test_another_point_release_is_noted_for_our_patches_only(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_text(bench.mails("start..HEAD~1"))
    write_series(bench, "vulnerable", "a", "start..HEAD~1")
    git(bench.repo, "checkout", "-q", "start")
    edit(bench.repo / "Makefile", "192", "195")
    commit_all(bench.repo, "6.1.195")
    bench.tree = add_tree(bench.home, "next", str(bench.repo), None, quiet)
    assert bench.apply("vulnerable").notes == (
        "patches/6.1 was last verified on 6.1.192, this tree is 6.1.195",
    )
    assert bench.apply(tmp_path / "a.patch").notes == ()


def uncovered(bench: Bench, version: str, *edits: tuple[str, str]) -> None:
    """Make the tree one of a version that no base covers."""
    git(bench.repo, "checkout", "-q", "start")
    edit(bench.repo / "Makefile", "PATCHLEVEL = 1", f"PATCHLEVEL = {version}")
    for old, new in edits:
        edit(bench.repo / "mm/walk.c", old, new)
    commit_all(bench.repo, "another release")
    bench.tree = add_tree(bench.home, "uncovered", str(bench.repo), None, quiet)
    bench.base = base_for(bench.tree.version)


def two_bases(bench: Bench) -> None:
    """6.1 has patches of races a and b, 6.6 one of race a for other text."""
    write_series(bench, "vulnerable", "a", "start..HEAD~1")
    write_series(bench, "vulnerable", "b", "HEAD~1..HEAD")
    other = bench.base.folder.parent / "6.6"
    other.mkdir()
    (other / "BASE.toml").write_text('name = "6.6"\nversions = "==6.6.*"\ntested = "6.6.1"\n')
    git(bench.repo, "checkout", "-q", "start")
    edit(bench.repo / "mm/walk.c", "return 3;", "return 3000;")
    commit_all(bench.repo, "what 6.6 has")
    edit(bench.repo / "mm/walk.c", "return 3000;", "return 3333;")
    commit_all(bench.repo, "mm/walk: as in 6.6")
    git(bench.repo, "format-patch", "-q", "-o", str(other / "vulnerable/a"), "HEAD~1..HEAD")
    (other / "vulnerable/series").write_text("a/0001-mm-walk-as-in-6.6.patch\n")


def test_a_tree_that_no_base_covers_takes_series_from_outside(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.patch").write_text(bench.mails("start..HEAD~1"))
    uncovered(bench, "3")
    assert not bench.base.covered
    made = bench.apply("none", tmp_path / "a.patch")
    assert (made.applied, made.notes) == (("a.patch",), ())
    assert bench.apply("none").commit == bench.tree.commit


def test_a_named_series_comes_from_the_base_that_fits(bench: Bench) -> None:
    two_bases(bench)
    # 6.4 is nearer to 6.6, whose patch of race a does not fit here.
    uncovered(bench, "4")
    made = bench.apply("vulnerable")
    assert made.notes == (
        "a: no base covers linux 6.4.192; from patches/6.1",
        "b: no base covers linux 6.4.192; from patches/6.1",
    )
    assert [name.split("/")[0] for name in made.applied] == ["a", "b"]
    assert "return 33;" in bench.file(made.commit, "mm/walk.c")
    assert bench.apply("vulnerable/b").applied == made.applied[1:]


def test_each_race_comes_from_the_base_that_fits(bench: Bench) -> None:
    two_bases(bench)
    uncovered(bench, "3", ("return 3;", "return 3000;"))
    made = bench.apply("vulnerable")
    assert made.notes == (
        "a: no base covers linux 6.3.192; from patches/6.6",
        "b: no base covers linux 6.3.192; from patches/6.1",
    )
    assert "return 3333;" in bench.file(made.commit, "mm/walk.c")
    assert "return 55;" in bench.file(made.commit, "mm/walk.c")


def test_a_named_series_that_fits_from_no_base_is_explained(bench: Bench) -> None:
    two_bases(bench)
    uncovered(bench, "3", ("return 3;", "return 9;"))
    with pytest.raises(UserError) as caught:
        bench.apply("vulnerable")
    assert "hunk 1 of mm/walk.c" in caught.value.message
    assert caught.value.message.endswith("no base covers linux 6.3.192: write a patch for it")
    with pytest.raises(UserError, match=r"^no series 'fixes/a' for linux 6\.3: no base covers it"):
        resolve_series("fixes/a", bench.base)


HEAD = (
    "From: A <a@example.org>\nSubject: [PATCH] x\nDate: Sat, 1 Jan 2022 00:00:00 +0000\n\nx\n---\n"
)


@pytest.mark.parametrize(
    ("diff", "words"),
    [
        ("--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n", r"would write \.\./x"),
        ("--- a//etc/x\n+++ b//etc/x\n@@ -0,0 +1 @@\n+x\n", "would write /etc/x"),
        ("--- a/.git/config\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", "would write .git/config"),
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n"
            "@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n",
            "symbolic link",
        ),
        (
            "diff --git a/mm/link.c b/mm/link.c\nindex b8f5ec0..2da4da2 120000\n--- a/mm/link.c\n"
            "+++ b/mm/link.c\n@@ -1 +1 @@\n-../mm/other.c\n\\ No newline at end of file\n"
            "+/etc\n\\ No newline at end of file\n",
            "symbolic link",
        ),
        (
            "diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1111111\n--- /dev/null\n"
            "+++ b/sub\n@@ -0,0 +1 @@\n+Subproject commit " + "1" * 40 + "\n",
            "a submodule",
        ),
        ("--- a/mm/walk.c\n+++ b/mm/walk.c\n@@ -1,9 +1,9 @@\n-int\n", "a damaged patch"),
    ],
)
def test_a_hostile_or_damaged_patch_is_refused(
    bench: Bench, tmp_path: Path, diff: str, words: str
) -> None:
    (tmp_path / "evil.patch").write_text(HEAD + diff)
    with pytest.raises(UserError, match=f"^evil.patch: .*{words}"):
        resolve_series(str(tmp_path / "evil.patch"), bench.base)


def test_a_link_without_a_git_header_is_not_written_through(bench: Bench, tmp_path: Path) -> None:
    diff = "--- a/mm/link.c\n+++ b/mm/link.c\n@@ -1 +1 @@\n-../mm/other.c\n+/etc\n"
    (tmp_path / "evil.patch").write_text(HEAD + diff)
    with pytest.raises(UserError, match=r"link|does not apply"):
        bench.apply(tmp_path / "evil.patch")


def test_what_is_no_series_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "letter.eml").write_text("From: A <a@example.org>\nSubject: hello\n\nhello\n")
    (tmp_path / "noise.patch").write_text("hello\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "quilt").mkdir()
    (tmp_path / "quilt/series").write_text("gone.patch\n")
    (tmp_path / "climb").mkdir()
    (tmp_path / "climb/series").write_text("../noise.patch\n")
    for name, words in {
        "letter.eml": "no patch in it",
        "noise.patch": "neither a mail nor a diff",
        "empty": "no patch in it",
        "quilt": "series lists gone.patch: No such file",
        "climb": "noise.patch is outside of the directory",
        "repo#nowhere..HEAD": "no range 'nowhere..HEAD'",
    }.items():
        with pytest.raises(UserError, match=words):
            resolve_series(str(tmp_path / name), bench.base)


def renamed(mails: str, *tags: str) -> str:
    """Give the mails of a mailbox other tags, in their order."""
    for number, tag in enumerate(tags, 1):
        mails = mails.replace(f"[PATCH {number}/{len(tags)}]", tag)
    return mails


def test_mails_are_put_in_order(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_text(renamed(bench.mails(), "[PATCH v3 2/2]", "[PATCH v3 1/2]"))
    subjects = [
        patch.subject for patch in resolve_series(str(tmp_path / "a.mbox"), bench.base).patches
    ]
    assert subjects == ["mm/walk: make step 5 longer", "mm/walk: make step 3 longer"]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (("[PATCH 1/3]", "[PATCH 3/3]"), "patch 2/3 is missing"),
        (("[PATCH 2/2]", "[PATCH 2/2]"), "patch 1/2 is missing"),
        (("[PATCH 1/2]", "[PATCH 1/2]"), "patch 1/2 is twice in it"),
        (("[PATCH 1/2]", "[PATCH v2 1/2]"), "holds revisions v1 and v2"),
    ],
)
def test_a_series_that_is_not_whole_is_refused(
    bench: Bench, tmp_path: Path, tags: tuple[str, str], words: str
) -> None:
    (tmp_path / "a.mbox").write_text(renamed(bench.mails(), *tags))
    with pytest.raises(UserError, match=f"a.mbox: {words}"):
        resolve_series(str(tmp_path / "a.mbox"), bench.base)


def test_some_patches_of_a_series(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "two.mbox").write_text(bench.mails())
    whole = resolve_series(str(tmp_path / "two.mbox"), bench.base)
    assert len(whole.patches) == 2
    for numbers, expected in (("1", [0]), ("2", [1]), ("1,2", [0, 1]), ("", [])):
        chosen = resolve_series(f"{tmp_path / 'two.mbox'}[{numbers}]", bench.base)
        assert chosen.patches == tuple(whole.patches[number] for number in expected)
        assert chosen.outside
    with pytest.raises(UserError, match="patch 3 does not exist"):
        resolve_series(f"{tmp_path / 'two.mbox'}[1,3]", bench.base)


def test_a_mistyped_file_is_called_one(bench: Bench) -> None:
    for name in ("my-fix.ptch", "./fixes-v2"):
        with pytest.raises(UserError, match=f"no such file: {name}; give a patch"):
            resolve_series(name, bench.base)
