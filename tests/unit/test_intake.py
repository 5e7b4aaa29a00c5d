# SPDX-License-Identifier: GPL-2.0-only
"""Patches, mails and queues as people have them: each gives the commit that it should, or says why.

One change to a toy kernel, in every form; what git itself makes of it is the answer.
"""

import base64
import bz2
import gzip
import lzma
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from backports import zstd

from fakes.kerneltree import commit_all, git
from fakes.toydesk import toy_home, toy_template
from mmrace.definitions.base import Base, load_bases
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.patching.intake import Intake, series_notes
from mmrace.patching.series import Applied, apply_series, resolve_series
from mmrace.sources.tree import Tree, add_tree, find_tree, store

HEAD = "From: Zoe Tester <zoe@example.org>\nDate: Mon, 2 Jan 2023 10:00:00 +0100\n"
SUBJECT = "Subject: mm/walk: make step 3 longer\n"
ID = "Message-ID: <1@example.org>\n"
MIME = "MIME-Version: 1.0\nContent-Type: {}\nContent-Transfer-Encoding: {}\n"
TEXT = "It was too short.\n\nReviewed-by: Zo\u00eb Tester <zoe@example.org>\n---\n"


def quiet(_: str) -> None:
    pass


@dataclass
class Desk:
    """A tree, a repository with one change on top, and its diff in git's form."""

    home: Home
    repo: Path
    tree: Tree
    base: Base
    folder: Path
    diff: str

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def take(self, name: str | Path) -> tuple[Applied, list[str]]:
        series = resolve_series(str(name), self.base)
        made = apply_series(self.home, self.tree, [series], quiet)
        return made, [*series_notes([series]), *made.notes]

    def message(self, made: Applied) -> str:
        return store(self.home).git("log", "-1", "--format=%an <%ae>%n%B", made.commit).text

    @property
    def changed(self) -> str:
        return git(self.repo, "rev-parse", "HEAD^{tree}")


def commit(repo: Path) -> None:
    walk = repo / "mm/walk.c"
    walk.write_text(walk.read_text().replace("return 3;", "return 33;"))
    commit_all(repo, "mm/walk: make step 3 longer\n\nIt was too short.")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_template(tmp_path_factory.mktemp("template"), commit)


@pytest.fixture
def desk(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    home = toy_home(template, tmp_path, monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    repo = tmp_path / "repo"
    diff = git(repo, "diff", "start", "HEAD") + "\n"
    tree = find_tree(home, "toy", quiet)
    return Desk(home, repo, tree, load_bases()[0], tmp_path / "in", diff)


def mail(diff: str, charset: str = "utf-8", how: str = "8bit", subject: str = SUBJECT) -> bytes:
    """A mail from a list, its text in an encoding, its body in a transfer encoding."""
    head = HEAD + ID + subject + MIME.format(f"text/plain; charset={charset}", how) + "\n"
    body = (TEXT + diff).encode(charset)
    if how == "base64":
        body = base64.encodebytes(body)
    if how == "quoted-printable":
        import quopri

        body = quopri.encodestring(body)
    return head.encode() + body


@pytest.mark.parametrize("how", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-8", "iso-8859-15"])
def test_text_in_any_encoding(desk: Desk, charset: str, how: str) -> None:
    made, _ = desk.take(desk.write("a.eml", mail(desk.diff, charset, how)))
    assert made.tree_hash == desk.changed
    assert "Reviewed-by: Zoë Tester" in desk.message(made)


def test_a_name_in_gb2312_and_a_text_that_is_more_than_that(desk: Desk) -> None:
    name = "=?gb2312?B?" + base64.b64encode("\u5f20\u4e09".encode("gb2312")).decode() + "?="
    raw = mail(desk.diff).decode().replace("Zoe Tester", name)
    made, _ = desk.take(desk.write("a.eml", raw))
    assert desk.message(made).startswith("\u5f20\u4e09 <zoe@example.org>")
    text = raw.replace("utf-8", "gb2312").replace("Zo\u00eb", "\u6731\u9555")
    made, notes = desk.take(desk.write("b.eml", text.encode("gb18030")))
    assert "\u6731\u9555" in desk.message(made)
    assert any("not all in gb2312" in note for note in notes)


@pytest.mark.parametrize("charset", ["klingon", "utf-8", "us-ascii"])
def test_text_in_another_encoding_than_it_says(desk: Desk, charset: str) -> None:
    raw = mail(desk.diff, "iso-8859-1").replace(b"iso-8859-1", charset.encode())
    made, notes = desk.take(desk.write("a.eml", raw))
    assert made.tree_hash == desk.changed
    assert "Zoë Tester" in desk.message(made)
    assert any("its text is not" in note for note in notes)


def test_what_git_prints_is_a_patch(desk: Desk) -> None:
    shown = desk.write("show", git(desk.repo, "show", "--stat", "-p", "--decorate") + "\n")
    made, _ = desk.take(shown)
    assert made.tree_hash == desk.changed
    assert desk.message(made).strip() == (
        "Tess Ter <t@example.org>\nmm/walk: make step 3 longer\n\nIt was too short."
    )


@pytest.mark.parametrize("order", [(), ("--reverse",)])
def test_a_log_is_a_series_whichever_way_round(desk: Desk, order: tuple[str, ...]) -> None:
    walk = desk.repo / "mm/walk.c"
    walk.write_text(walk.read_text().replace("return 33;", "return 333;"))
    commit_all(desk.repo, "mm/walk: longer still")
    log = git(desk.repo, "log", "-p", *order, "start..HEAD") + "\n"
    made, _ = desk.take(desk.write("log.txt", log))
    assert made.tree_hash == desk.changed
    assert made.applied == ("log.txt#1", "log.txt#2")


def test_the_diff_of_a_merge_is_refused(desk: Desk) -> None:
    sha = "0123456789" * 4
    text = f"commit {sha}\nMerge: 1234567 abcdef0\nAuthor: A <a@b.org>\n\n    Merge\n\n"
    text += "diff --cc mm/walk.c\nindex 1,2..3\n--- a/mm/walk.c\n+++ b/mm/walk.c\n"
    with pytest.raises(UserError, match="commit 012345678901 is a merge; give the commits"):
        desk.take(desk.write("m.patch", text))


@pytest.mark.parametrize(
    "above",
    [
        "Seen on our machines.\nDate: 2 January\n\n",
        "Found in the field.\nFrom: all of us\n\n",
        "Date: 2 January\n\nSeen on our machines.\n\n",
        "Description: longer\n more of it\nOrigin: upstream\n---\nThis header is one of Debian's\n",
        "",
    ],
)
def test_a_note_above_a_diff_is_no_mail(desk: Desk, above: str) -> None:
    made, notes = desk.take(desk.write("note.patch", above + desk.diff))
    assert made.tree_hash == desk.changed
    assert desk.message(made).startswith("mmrace <mmrace@localhost>\nnote\n")
    assert any(note.startswith("note.patch: the diff has no author, subject") for note in notes)


@pytest.mark.parametrize(
    ("head", "absent"),
    [
        (HEAD, "subject"),
        ("From: Zoe Tester <zoe@example.org>\n" + SUBJECT, "date"),
        (SUBJECT, "author, date"),
        ("From: the field\nDate: some day\n" + SUBJECT, "author, date"),
    ],
)
def test_what_a_mail_lacks_is_made_up_and_said(desk: Desk, head: str, absent: str) -> None:
    made, notes = desk.take(desk.write("a.patch", f"{head}\nWhy.\n---\n{desk.diff}"))
    assert made.tree_hash == desk.changed
    assert notes == [f"a.patch: the mail has no {absent}; made up"]


@pytest.mark.parametrize(
    "body",
    [
        "Does this help?\n\n{}",
        "> it hangs\n\nDoes this help?\n\n-- >8 --\nSubject: mm/walk: longer\n\nWhy.\n---\n{}",
    ],
)
def test_a_reply_with_a_patch(desk: Desk, body: str) -> None:
    text = HEAD + ID + "Subject: Re: it hangs\n\n" + body.format(desk.diff)
    made, notes = desk.take(desk.write("re.eml", text))
    assert made.tree_hash == desk.changed
    assert "re.eml: from a reply, 'Re: it hangs'" in notes
    if ">8" in body:
        assert "\nmm/walk: longer\n\nWhy.\n" in desk.message(made)
        assert "help?" not in desk.message(made)


def test_of_several_replies_with_a_patch_none_is_guessed(desk: Desk) -> None:
    text = HEAD + ID + "Subject: Re: it hangs\n\nThis?\n\n" + desk.diff
    box = "From x@y Thu Jan  1 00:00:00 1970\n"
    two = box + text + "\n" + box + text.replace("<1@", "<2@").replace("33", "34")
    with pytest.raises(UserError, match="2 replies with a patch, <1@example"):
        desk.take(desk.write("two.mbox", two))


def attached(*parts: tuple[str, str], how: str = "7bit", text: str = "See below.\n") -> str:
    """A mail with attachments."""
    mixed = HEAD + ID + "Subject: it hangs\n" + MIME.format('multipart/mixed; boundary="X"', "8bit")
    mixed += f"\n--X\nContent-Type: text/plain\n\n{text}\n"
    for name, content in parts:
        body = content
        if how == "base64":
            body = base64.encodebytes(content.encode()).decode()
        kind = f'text/x-patch; name="{name}"'
        mixed += f"--X\nContent-Type: {kind}\nContent-Transfer-Encoding: {how}\n"
        mixed += f'Content-Disposition: attachment; filename="{name}"\n\n{body}\n'
    return mixed + "--X--\n"


@pytest.mark.parametrize("how", ["7bit", "base64"])
@pytest.mark.parametrize("box", ["", "From x@y Thu Jan  1 00:00:00 1970\n"])
def test_a_patch_that_is_attached(desk: Desk, how: str, box: str) -> None:
    whole = git(desk.repo, "format-patch", "--stdout", "-1") + "\n"
    log = ("dmesg.txt", "[    1.0] BUG: something\n")
    text = box + attached(log, ("0001-fix.patch", whole), how=how)
    made, notes = desk.take(desk.write("bug.eml", text))
    assert made.tree_hash == desk.changed
    assert desk.message(made).startswith("Tess Ter <t@example.org>\nmm/walk: make step 3 longer\n")
    assert "0001-fix.patch: attached to 'it hangs'" in notes
    made, _ = desk.take(desk.write("plain.eml", box + attached(("fix.diff", desk.diff), how=how)))
    assert made.tree_hash == desk.changed
    assert desk.message(made).startswith("Zoe Tester <zoe@example.org>\nit hangs\n\nSee below.")


def test_of_several_attachments_one_is_named(desk: Desk) -> None:
    other = desk.diff.replace("return 33", "return 34")
    path = desk.write("bug.eml", attached(("one.diff", desk.diff), ("two.diff", other)))
    with pytest.raises(
        UserError, match=r"2 patches in one mail; name one as .*: one.diff, two.dif"
    ):
        desk.take(path)
    made, _ = desk.take(f"{path}#one.diff")
    assert made.tree_hash == desk.changed
    with pytest.raises(UserError, match=r"no attachment 'three.diff' with a patch; name one"):
        desk.take(f"{path}#three.diff")


def test_the_same_patch_as_html_is_passed_over(desk: Desk) -> None:
    text = HEAD + ID + SUBJECT + MIME.format('multipart/alternative; boundary="X"', "8bit")
    text += f"\n--X\nContent-Type: text/plain; charset=utf-8\n\n{TEXT}{desk.diff}\n"
    html = desk.diff.replace("int", "<b>int</b>")
    text += f"--X\nContent-Type: text/html; charset=utf-8\n\n<pre>\n{html}</pre>\n--X--\n"
    made, _ = desk.take(desk.write("a.eml", text))
    assert made.tree_hash == desk.changed


@pytest.mark.parametrize(
    "pack", [gzip.compress, lzma.compress, bz2.compress, zstd.compress], ids=lambda f: f.__module__
)
def test_compressed_files(desk: Desk, pack: object) -> None:
    assert callable(pack)
    made, _ = desk.take(desk.write("a.packed", pack(mail(desk.diff))))
    assert made.tree_hash == desk.changed
    desk.write("q/a.patch.gz", pack(desk.diff.encode()))
    desk.write("q/series", "a.patch.gz\n")
    assert desk.take(desk.folder / "q")[0].tree_hash == desk.changed
    with pytest.raises(UserError, match=r"cut.gz: damaged or truncated compressed file"):
        desk.take(desk.write("cut.gz", pack(mail(desk.diff))[:-9]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_marks_and_crlf(desk: Desk, encoding: str, end: str) -> None:
    for content in (desk.diff, mail(desk.diff).decode(), git(desk.repo, "show") + "\n"):
        path = desk.write("a.patch", content.replace("\n", end).encode(encoding))
        assert desk.take(path)[0].tree_hash == desk.changed


def test_files_with_crlf_keep_it(desk: Desk) -> None:
    desk.write("x", "")
    (desk.repo / "mm/dos.c").write_bytes(b"int a;\r\nint b;\r\n")
    commit_all(desk.repo, "mm/dos: add")
    desk.tree = add_tree(desk.home, "dos", str(desk.repo), None, quiet)
    (desk.repo / "mm/dos.c").write_bytes(b"int a;\r\nint c;\r\n")
    commit_all(desk.repo, "mm/dos: c")
    whole = desk.folder / "out"
    git(desk.repo, "format-patch", "-q", "-o", str(whole), "-1")
    assert desk.take(whole)[0].tree_hash == desk.changed


@pytest.mark.parametrize("tag", ["PATCH 6.1 123/300", "PATCH AUTOSEL 6.1 3/20", "PATCH 1/2"])
def test_one_mail_of_a_series_is_taken_alone(desk: Desk, tag: str) -> None:
    subject = SUBJECT.replace(": mm", f": [{tag}] mm")
    made, notes = desk.take(desk.write("a.eml", mail(desk.diff, subject=subject)))
    assert made.tree_hash == desk.changed
    number = tag.rpartition(" ")[2]
    assert any(f"patch {number} of its series, taken alone" in note for note in notes)
    without_id = mail(desk.diff, subject=subject).replace(ID.encode(), b"")
    _, notes = desk.take(desk.write("b.eml", without_id))
    assert f"b.eml: patch {number} of its series, taken alone" in notes


def test_levels_and_reversed_patches_of_a_list(desk: Desk) -> None:
    flat = desk.diff.replace(" a/", " ").replace(" b/", " ")
    deep = desk.diff.replace(" a/", " a/linux/").replace(" b/", " b/linux/")
    back = git(desk.repo, "diff", "HEAD", "start") + "\n"
    listed = {"flat.patch -p0": flat, "deep.patch -p2": deep, "back.patch -R": back}
    for line, content in listed.items():
        desk.write("q/series", f"# ours\r\n{line}  # why\r\n")
        desk.write(f"q/{line.split()[0]}", content)
        assert desk.take(desk.folder / "q")[0].tree_hash == desk.changed
    desk.write("q/series", "flat.patch --fuzz=3\n")
    with pytest.raises(UserError, match="unknown option --fuzz=3; -pN and -R are read"):
        desk.take(desk.folder / "q")


def test_a_patch_alone_is_read_at_the_level_that_the_tree_shows(desk: Desk) -> None:
    for level, prefix in ((0, " "), (2, " a/linux-6.1/")):
        text = desk.diff.replace(" a/", prefix).replace(" b/", prefix)
        made, notes = desk.take(desk.write("a.patch", text))
        assert made.tree_hash == desk.changed
        assert f"a.patch: its paths are of level -p{level}" in notes
    top = "--- Makefile\n+++ Makefile\n@@ -7,2 +7,2 @@\n none:\n-\t@echo toy\n+\t@echo new\n"
    text = "--- Makefile\n+++ Makefile\n@@ -7,2 +7,2 @@\n all:\n-\t@echo toy\n+\t@echo new\n"
    made, _ = desk.take(desk.write("top.patch", text))
    assert "echo new" in (store(desk.home).file(made.commit, "Makefile") or b"").decode()
    with pytest.raises(UserError, match="does not apply"):
        desk.take(desk.write("bad.patch", top))


@pytest.mark.parametrize("name", ["series", "series.conf", "patches/series"])
def test_lists_of_distributions(desk: Desk, name: str) -> None:
    below = Path(name).parent
    lines = "\t########\n\t# mm\n\tpatches.suse/a.patch\n+needs_update\tpatches.suse/gone.patch\n"
    desk.write(f"q/{name}", lines)
    desk.write(f"q/{below}/patches.suse/a.patch", HEAD + SUBJECT + "\nWhy.\n---\n" + desk.diff)
    made, notes = desk.take(desk.folder / "q")
    assert made.tree_hash == desk.changed
    assert notes[0].endswith("left out for their guards: patches.suse/gone.patch (+needs_update)")


def posted(desk: Desk, tag: str, cover: str, count: int) -> list[str]:
    """A cover letter and patches that change one step after the other."""
    mails = []
    if cover:
        mails.append(f"{HEAD}Message-ID: <0@x>\nSubject: [{cover} 0/{count}] mm\n\nWords.\n")
        mails[0] += "\n mm/walk.c | 3 +++\n 1 file changed, 3 insertions(+)\n"
    git(desk.repo, "reset", "-q", "--hard", "start")
    for number in range(1, count + 1):
        walk = desk.repo / "mm/walk.c"
        walk.write_text(walk.read_text().replace(f"return {number};", f"return {number}{number};"))
        commit_all(desk.repo, f"step {number}")
        diff = git(desk.repo, "diff", "HEAD~1", "HEAD")
        above = "In-Reply-To: <0@x>\n" if cover else ""
        mails.append(f"{HEAD}Message-ID: <{number}@x>\n{above}Subject: [{tag} {number}/{count}] mm")
        mails[-1] += f": step {number}\n\nWords.\n---\n{diff}\n"
    return mails


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("tag", "cover", "taken"),
    [
        ("PATCH", "PATCH v2", "v2"),
        ("PATCH -v2 next", "PATCH -v2 next", "v2"),
        ("PATCH -v2 next", "", "v2"),
        ("RFC PATCH v3", "RFC PATCH v3", "v3"),
    ],
)
def test_revisions_do_not_depend_on_the_order_of_mails(
    desk: Desk, tag: str, cover: str, taken: str, count: int
) -> None:
    mails = posted(desk, tag, cover, count)
    for number, order in enumerate((mails, mails[::-1], mails[1:] + mails[:1])):
        box = "".join(f"From x@y Thu Jan  1 00:00:00 1970\n{text}\n" for text in order)
        path = desk.write(f"{number}.mbox", box)
        made, notes = desk.take(path)
        assert made.tree_hash == desk.changed
        assert made.applied == tuple(f"{number}.mbox#{n}" for n in range(1, count + 1))
        assert notes[0] == f"{path}#{taken}: {taken}"


def test_numbers_in_messages_are_those_of_the_series(desk: Desk) -> None:
    mails = posted(desk, "PATCH", "PATCH", 2)
    mails[2] = mails[2].replace("-\treturn 2;", "-\treturn 7;")
    box = "".join(f"From x@y Thu Jan  1 00:00:00 1970\n{text}\n" for text in mails)
    with pytest.raises(UserError, match=r"^a\.mbox#2 \(patch 2/2\) does not apply to toy: hunk 1"):
        desk.take(desk.write("a.mbox", box))


def test_a_commit_by_its_id_is_that_commit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = git(desk.repo, "rev-parse", "HEAD")
    want = desk.changed
    (desk.repo / "mm/other.c").write_text("int other;\n")
    commit_all(desk.repo, "mm/other: new")
    for name in (f"{desk.repo}#{first}", f"{desk.repo}#{first[:10]}"):
        made, _ = desk.take(name)
        assert (made.tree_hash, len(made.applied)) == (want, 1)
    monkeypatch.chdir(desk.repo)
    assert desk.take(first[:12])[0].tree_hash == want
    git(desk.repo, "branch", "abcdef0", "HEAD")
    git(desk.repo, "branch", "main2", "start")
    git(desk.repo, "branch", "--set-upstream-to=main2", "abcdef0")
    assert len(desk.take(f"{desk.repo}#abcdef0")[0].applied) == 2
    with pytest.raises(UserError, match="no commit '0123456'"):
        desk.take(f"{desk.repo}#0123456")


def test_a_series_is_named_so_that_it_is_found_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake()
    desk.write("a.patch", desk.diff)
    desk.write("two.eml", mail(desk.diff))
    desk.write("q/series", "a.patch -p0\n")
    desk.write("q/a.patch", desk.diff.replace(" a/", " ").replace(" b/", " "))
    desk.write(
        "from.patch", f"{HEAD}{SUBJECT}\nFrom user space it is\nFrom there.\n---\n{desk.diff}"
    )
    monkeypatch.chdir(desk.folder)
    tip = git(desk.repo, "rev-parse", "HEAD")
    names = ["a.patch", "two.eml", "two.eml#v1", "q", "a.patch[1]", "from.patch"]
    names += ["../repo#start..main", f"../repo#{tip[:9]}"]
    before = [intake.resolve(desk.home, [name], desk.base)[0] for name in names]
    monkeypatch.chdir("/")
    git(desk.repo, "commit", "-q", "--allow-empty", "-m", "later")
    for was in before:
        now = intake.resolve(desk.home, [was.name], desk.base)[0]
        assert [patch.mail for patch in now.patches] == [patch.mail for patch in was.patches]
        assert now.name == was.name
    shutil.rmtree(desk.folder)
    shutil.rmtree(desk.repo)
    for was in before:
        now = intake.resolve(desk.home, [was.name], desk.base)[0]
        assert [patch.mail for patch in now.patches] == [patch.mail for patch in was.patches]
        assert now.notes == ("its files are gone; as it was when it was last used",)
        made = apply_series(desk.home, desk.tree, [now], quiet)
        assert len(made.applied) == 1
