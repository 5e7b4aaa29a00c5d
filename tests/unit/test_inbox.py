# SPDX-License-Identifier: GPL-2.0-only
"""Threads of mails, read through the real b4 from files and from a public-inbox of the test's."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fakes.inbox import Mail, letter, patches, public_inbox, write_mbox
from fakes.kerneltree import commit_all, git
from fakes.toydesk import toy_home, toy_template
from mmrace.definitions.base import Base, load_bases
from mmrace.errors import InfraError, UserError
from mmrace.home import Home
from mmrace.patching.series import Applied, apply_series, resolve_series
from mmrace.sources.tree import Tree, add_tree, find_tree

REVIEWER = "Rev Iewer <r@example.org>"


def quiet(_: str) -> None:
    pass


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@dataclass
class List:
    """A repository with two revisions of a series, the thread about them, and a tree."""

    home: Home
    repo: Path
    tree: Tree
    base: Base
    thread: list[Mail]

    def apply(self, name: str | Path, stdin: bytes = b"") -> Applied:
        return apply_series(
            self.home, self.tree, [resolve_series(str(name), self.base, stdin)], quiet
        )

    def hash(self, tag: str) -> str:
        return git(self.repo, "rev-parse", f"{tag}^{{tree}}")


def make_thread(repo: Path, cover: str = "Longer is better.") -> list[Mail]:
    v2 = patches(repo, "start..two", 2, parent="v1-1@list", cover=cover)
    return [
        *patches(repo, "start..one", 1),
        *v2,
        letter(
            "r1@list",
            f"Re: {'[PATCH v2 1/2] mm/walk: make step 3 longer'}",
            f"> From: x\n\nFine.\n\nReviewed-by: {REVIEWER}",
            "v2-1@list",
            REVIEWER,
            3,
        ),
        letter(
            "r2@list",
            "Re: [PATCH v2 0/2] mm/walk: longer steps",
            f"Good.\n\nTested-by: {REVIEWER}",
            "v2-0@list",
            REVIEWER,
            3,
        ),
    ]


def commit(repo: Path) -> None:
    for tag, value in (("one", "34"), ("two", "33")):
        git(repo, "reset", "-q", "--hard", "start")
        edit(repo / "mm/walk.c", "return 3", f"return {value}")
        commit_all(repo, "mm/walk: make step 3 longer\n\nFirst.")
        edit(repo / "mm/walk.c", "return 5", "return 55")
        commit_all(repo, "mm/walk: make step 5 longer\n\nJürgen measured it.")
        git(repo, "tag", tag)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_template(tmp_path_factory.mktemp("template"), commit)


@pytest.fixture
def lists(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> List:
    home = toy_home(template, tmp_path, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for key in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(key, raising=False)
    (tmp_path / "user").mkdir()
    tree = find_tree(home, "toy", quiet)
    repo = tmp_path / "repo"
    return List(home, repo, tree, load_bases()[0], make_thread(repo))


def test_every_form_of_a_series_gives_the_same_tree(
    lists: List, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = write_mbox(tmp_path / "thread.mbox", lists.thread)
    plain = tmp_path / "plain"
    git(lists.repo, "format-patch", "-q", "-o", str(plain), "start..two")
    quilt = shutil.copytree(plain, tmp_path / "quilt")
    (quilt / "series").write_text("".join(f"{p.name}\n" for p in sorted(plain.iterdir())))
    for name in ("cur", "new", "tmp"):
        (tmp_path / "maildir" / name).mkdir(parents=True)
    for number, mail in enumerate(lists.thread):
        (tmp_path / f"maildir/cur/{number}:2,S").write_text(mail.text)
    git(lists.repo, "branch", "topic", "two")
    git(lists.repo, "checkout", "-q", "-B", "main", "start")
    monkeypatch.chdir(lists.repo)
    forms = [box, tmp_path / "maildir", plain, quilt, f"{lists.repo}#start..two", "start..two"]
    made = [lists.apply(form) for form in [*forms, f"{lists.repo}#topic", "topic"]]
    made += [lists.apply("-", box.read_bytes())]
    with public_inbox(lists.thread) as (url, _paths):
        made += [lists.apply(f"{url}/v2-1@list/"), lists.apply(f"{url}/v1-1@list/#v2")]
    assert {item.tree_hash for item in made} == {lists.hash("two")}
    assert [len(item.applied) for item in made] == [2] * len(made)


def test_a_thread_gives_its_newest_revision_with_the_trailers_of_replies(
    lists: List, tmp_path: Path
) -> None:
    box = write_mbox(tmp_path / "thread.mbox", lists.thread)
    series = resolve_series(str(box), lists.base)
    assert series.name == f"{box}#v2"
    assert series.notes == ("v2 (there are v1 too)", "attestation: none")
    first, second = series.patches
    assert f"Reviewed-by: {REVIEWER}\nTested-by: {REVIEWER}" in first.message
    assert "Reviewed-by" not in second.message
    assert f"Tested-by: {REVIEWER}" in second.message  # the cover letter's goes to all
    assert lists.apply(f"{box}#v1").tree_hash == lists.hash("one")
    assert lists.apply(series.name).tree_hash == lists.hash("two")


def test_a_message_id_is_asked_of_the_server_of_b4s_setting(
    lists: List, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with public_inbox(lists.thread) as (url, paths):
        (tmp_path / "user/.gitconfig").write_text(f"[b4]\n\tmidmask = {url}/%s\n")
        series = resolve_series("<v2-2@list>", lists.base)
        assert paths[0] == "/linux-mm/v2-2%40list/t.mbox.gz"
        with pytest.raises(UserError, match=r"^gone@list: the server has no such mail"):
            resolve_series("gone@list", lists.base)
    assert series.name == "<v2-2@list>#v2"
    assert len(series.patches) == 2
    with pytest.raises(InfraError, match=r"^v2-2@list: cannot fetch the thread"):
        resolve_series("v2-2@list", lists.base)


def test_a_file_never_asks_the_network(lists: List, tmp_path: Path) -> None:
    signed = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=eA==; b=eA==\n"
    mails = [replace(mail, text=signed + mail.text) for mail in lists.thread]
    with public_inbox(lists.thread) as (url, paths):
        (tmp_path / "user/.gitconfig").write_text(f"[b4]\n\tmidmask = {url}/%s\n")
        series = resolve_series(str(write_mbox(tmp_path / "t.mbox", mails)), lists.base)
    assert not paths
    assert series.notes[1] == "attestation: DKIM signatures not checked, for that takes the network"


def test_a_series_says_what_it_was_made_on_and_what_it_needs(lists: List, tmp_path: Path) -> None:
    start = git(lists.repo, "rev-parse", "start")
    elsewhere, absent = "ab" * 20, "12" * 20
    first = git(lists.repo, "show", "two~1")
    known = git_patch_id(lists.repo, first)
    cover = f"base-commit: {start}\nprerequisite-patch-id: {absent}\n"
    box = write_mbox(tmp_path / "a.mbox", make_thread(lists.repo, cover))
    made = lists.apply(box)
    assert made.notes == (f"it needs the patch with id {absent[:12]} first; give it too",)
    cover = f"base-commit: {elsewhere}\nprerequisite-patch-id: {known}\n"
    (tmp_path / "first.patch").write_text(
        git(lists.repo, "format-patch", "--stdout", "-1", "two~1") + "\n"
    )
    box = write_mbox(tmp_path / "b.mbox", make_thread(lists.repo, cover))
    series = [
        resolve_series(str(tmp_path / name), lists.base) for name in ("first.patch", "b.mbox")
    ]
    made = apply_series(lists.home, lists.tree, series, quiet)
    assert made.notes == (
        f"it was made on base-commit {elsewhere[:12]}, which is none of the trees here",
    )


def git_patch_id(repo: Path, diff: str) -> str:
    import subprocess

    done = subprocess.run(
        ["/usr/bin/git", "patch-id", "--stable"],
        input=diff,
        cwd=repo,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[0]


def test_a_series_that_does_not_fit_says_what_it_was_made_on(lists: List, tmp_path: Path) -> None:
    add_tree(lists.home, "one", str(lists.repo), "one", quiet)
    git(lists.repo, "checkout", "-q", "-B", "more", "one")
    edit(lists.repo / "mm/walk.c", "return 34", "return 344")
    commit_all(lists.repo, "mm/walk: still longer")
    cover = f"base-commit: {git(lists.repo, 'rev-parse', 'one')}\n"
    mails = patches(lists.repo, "one..more", 1, cover=cover)
    box = write_mbox(tmp_path / "more.mbox", mails)
    with pytest.raises(
        UserError, match=r"hunk 1 of mm/walk.c.*base-commit \w{12}, which is tree one$"
    ):
        lists.apply(box)
    assert not list((lists.home.cache / "series").iterdir())


def test_what_is_needed_by_message_id_goes_first(lists: List, tmp_path: Path) -> None:
    git(lists.repo, "checkout", "-q", "-B", "more", "two")
    edit(lists.repo / "mm/walk.c", "return 33", "return 333")
    commit_all(lists.repo, "mm/walk: still longer")
    posted = patches(lists.repo, "two..more", 1, cover="prerequisite-message-id: <v2-2@list>\n")
    more = [Mail(m.id.replace("v1", "m1"), m.text.replace("v1-", "m1-")) for m in posted]
    alone = resolve_series(str(write_mbox(tmp_path / "more.mbox", more)), lists.base)
    assert alone.notes[-1] == "needs <v2-2@list> first, which is not here"
    box = write_mbox(tmp_path / "all.mbox", [*lists.thread, *more])
    assert lists.apply(box).tree_hash == lists.hash("more")
    with public_inbox(more, lists.thread) as (url, _paths):
        series = resolve_series(f"{url}/m1-0@list/", lists.base)
        assert series.notes[-1] == "on top of <v2-2@list>, which it needs: 2 patches"
        assert lists.apply(f"{url}/m1-0@list/").tree_hash == lists.hash("more")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda mails: [m for m in mails if m.id != "v2-1@list"], "patch 1/2 of v2 is missing"),
        (
            lambda mails: [*mails, again(mails[3])],
            "patch 1/2 of v2 occurs twice; give one of <again@list> and <v2-1@list>",
        ),
        (lambda mails: [m for m in mails if "@list" in m.id and m.id[0] == "r"], "no patch in it"),
        (
            lambda mails: [
                *mails,
                Mail("x@x", mails[1].text.replace("step", "leg").replace("v1-", "x-")),
            ],
            "several series",
        ),
        (lambda mails: [*mails[:3], broken(mails[3]), mails[4]], "a damaged patch"),
        (lambda mails: [*mails[:4], spelt(mails[4], "/mm/", "/../mm/")], "outside of the tree"),
    ],
)
def test_a_thread_that_is_not_whole_is_refused(
    lists: List, tmp_path: Path, change: object, words: str
) -> None:
    assert callable(change)
    box = write_mbox(tmp_path / "t.mbox", change(lists.thread))
    with pytest.raises(UserError, match=words):
        resolve_series(str(box), lists.base)


def again(mail: Mail) -> Mail:
    return Mail("again@list", mail.text.replace("<v2-1@list>", "<again@list>", 1))


def spelt(mail: Mail, old: str, new: str) -> Mail:
    assert old in mail.text
    return Mail(mail.id, mail.text.replace(old, new))


def broken(mail: Mail) -> Mail:
    return Mail(mail.id, mail.text.replace("-15,7 +15,7", "-15,9 +15,9"))


@pytest.mark.parametrize(
    ("change", "words"),
    [("", "Signed: ed25519/t@example.org"), ("return 34", "BADSIG: ed25519/t@example.org")],
)
def test_what_b4_says_of_signatures_is_told(
    lists: List, tmp_path: Path, change: str, words: str
) -> None:
    import base64

    import patatt
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    ring = tmp_path / "user/.local/share/b4/keyring/ed25519/example.org/t"
    ring.mkdir(parents=True)
    (ring / "default").write_bytes(base64.b64encode(bytes(key.verify_key)))
    mails = []
    for mail in lists.thread[:2]:
        signed = patatt.PatattMessage(mail.text.encode())
        secret = base64.b64encode(bytes(key)).decode()
        signed.sign("ed25519", secret, identity="t@example.org", selector="default")
        text = signed.as_string()
        mails.append(Mail(mail.id, text.replace(change, "return 66") if change else text))
    series = resolve_series(str(write_mbox(tmp_path / "t.mbox", mails)), lists.base)
    assert words in series.notes[1]
