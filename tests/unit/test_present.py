# SPDX-License-Identifier: GPL-2.0-only
"""A change counts as there only when its own lines are found in place, and never by accident."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrace.patching.diff import parse, reverse
from mmrace.patching.patch import Patch
from mmrace.patching.present import differences

FILE = """\
static int first(struct page *page)
{
	if (!page)
		return -EINVAL;
	get_page(page);
	return 0;
}

static int second(struct page *page, int flags)
{
	int err = check(page);

	if (err) {
		put_page(page);
		return err;
	}
	lock_page(page);
	err = work(page);
	unlock_page(page);
	return err;
}
"""
HEAD = "--- a/mm/x.c\n+++ b/mm/x.c\n"


def patch(*lines: str, function: str = "") -> Patch:
    old = sum(line[:1] != "+" for line in lines)
    new = sum(line[:1] != "-" for line in lines)
    diff = HEAD + f"@@ -1,{old} +1,{new} @@ {function}".rstrip() + "\n"
    diff += "".join(f"{line}\n" for line in lines)
    return Patch("x", "s", "a", "d", "m", diff.encode(), ("mm/x.c",))


def find(one: Patch, text: str | None = FILE) -> tuple[str, ...] | None:
    return differences(one, lambda path: text if path == "mm/x.c" else None)


ADDED = (" \tlock_page(page);", "+\terr = work(page);", " \tunlock(page);", " \treturn err;")


def test_lines_beside_one_that_the_file_has_once() -> None:
    found = find(patch(*ADDED, function="static int second(struct page *page)"))
    assert found == ("mm/x.c:19 has 'unlock_page(page);', not 'unlock(page);'",)
    assert find(patch(*ADDED)) == found


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((" \tbegin(page);", "+\terr = work(page);", " \tend(page);"), "no line beside it"),
        ((" \tlock_page(page);", "+\terr = work(pages);", " \tend(page);"), "other words"),
        ((" \tif (x)", "+\t\tput_page(page);", " \t\treturn err;", " \tx(page);"), "twice there"),
        (("+\treturn 0;", " \tgone(page);"), "nothing beside it"),
        ((" \tlock_page(page);", "-\terr = work(page);", "+\terr = work(page);"), "no change"),
        ((" \tlock_page(page);", "+\terr = work(page);", "-\tunlock_page(page);"), "old line"),
        ((" \tgone(page);", " ", "+", " ", " \tlost(page);"), "a blank line"),
        ((" \tgone(page);", "-\tlost(page);", " \tnever(page);"), "what was around is not there"),
        ((" \tget_page(page);", "-\tgot(page);", " \tgone(page);"), "one side of two"),
    ],
)
def test_what_is_not_certain_is_not_there(lines: tuple[str, ...], why: str) -> None:
    assert find(patch(*lines)) is None, why


def test_the_function_that_the_hunk_names() -> None:
    assert find(patch(*ADDED, function="static int first(struct page *page)")) is None
    inside = (" static int first(struct page *page)", " {", *ADDED)
    assert find(patch(*inside, function="int zero(void)")) is None
    below = (" static int second(struct page *page)", " {", *ADDED)
    assert find(patch(*below, function="int zero(void)")) is not None
    assert find(patch(" }", *ADDED, function="static int first(void)")) is not None


def test_removed_lines_may_not_be_in_the_function() -> None:
    gone = (" \tlock_page(page);", "-\tflush(page);", "+\terr = work(page);", " \tx(page);")
    assert find(patch(*gone)) is not None
    kept = (" \tlock_page(page);", "-\treturn err;", "+\terr = work(page);", " \tx(page);")
    assert find(patch(*kept)) is None
    elsewhere = (" \tlock_page(page);", "-\tget_page(page);", "+\terr = work(page);", " \tx(page);")
    assert find(patch(*elsewhere)) is not None  # it is in another function
    only = (" \terr = work(page);", "-\tflush(page);", " \tunlock_page(page);", " \tx(page);")
    assert find(patch(*only)) is not None


def test_a_second_copy_of_a_line_is_seen() -> None:
    again = (" \tlock_page(page);", " \terr = work(page);", "+\terr = work(page);", " \tx(page);")
    assert find(patch(*again)) is None
    twice = FILE.replace("\terr = work(page);\n", "\terr = work(page);\n\terr = work(page);\n")
    assert find(patch(*again), twice) is not None


def test_blocks_have_to_be_in_order() -> None:
    first = (" \tlock_page(page);", "+\terr = work(page);", " \tx(page);")
    second = (" \tget_page(page);", "+\treturn 0;", " \ty(page);")
    assert find(patch(*second, *first)) is not None
    assert find(patch(*first, *second)) is None


def test_every_file_counts() -> None:
    one = patch(*ADDED)
    assert find(replace(one, files=("mm/x.c", "mm/y.c"))) is None
    assert find(one, None) is None
    two = replace(one, diff=one.diff + one.diff.replace(b"mm/x.c", b"mm/y.c"))
    assert find(replace(two, files=("mm/x.c", "mm/y.c"))) is None
    new = b"--- /dev/null\n+++ b/mm/x.c\n@@ -0,0 +1,2 @@\n+int a;\n+int b;\n"
    assert find(replace(one, diff=new), "int a;\nint b;\n") == ()
    assert find(replace(one, diff=new), "int a;\nint b;\nint c;\n") is None
    gone = b"--- a/mm/x.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-int a;\n-int b;\n"
    assert find(replace(one, diff=gone), None) == ()
    assert find(replace(one, diff=gone), "int a;\n") is None


LINE = st.sampled_from(
    ["\ta(x);", "\tb(x);", "\tc(x);", "\td(x);", "\te(x);", "\t}", "", "\tif (x) {"]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(LINE, min_size=4, max_size=14),
    st.integers(0, 12),
    st.integers(0, 2),
    st.lists(LINE, max_size=3),
)
def test_a_tree_without_the_change_never_has_it(
    old: list[str], at: int, drop: int, add: list[str]
) -> None:
    """Whatever the change: a file as it was before is not one that has it."""
    at = min(at, len(old))
    new = [*old[:at], *add, *old[at + drop :]]
    if new == old:
        return
    body = [f" {line}" for line in old[max(0, at - 3) : at]]
    body += [f"-{line}" for line in old[at : at + drop]] + [f"+{line}" for line in add]
    body += [f" {line}" for line in old[at + drop : at + drop + 3]]
    one = patch(*body)
    assert find(one, "int f(void)\n{\n" + "\n".join(old) + "\n}\n") is None
    if find(one, "int f(void)\n{\n" + "\n".join(new) + "\n}\n") is not None:
        back = replace(one, diff=reverse("x", one.diff))
        assert find(back, "int f(void)\n{\n" + "\n".join(new) + "\n}\n") is None


def test_a_diff_reversed_twice_is_the_diff() -> None:
    one = patch(*ADDED, "-\told(page);", "+\tnew(page);", function="int f(void)")
    assert parse(reverse("x", reverse("x", one.diff))) == parse(one.diff)
