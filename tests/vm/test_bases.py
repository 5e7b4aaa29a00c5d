# SPDX-License-Identifier: GPL-2.0-only
"""Older kernels as they were released: they have the bugs, and hold with the fixes on top.

Whoever has such a source adds it under the name used here: mmrace tree add v5.9 SOURCE.
"""

import pytest

PUNCH = ("khugepaged-retract", "uprobe-punch", "CRASH")
MISSING = ("hugetlb-uffd", "missing-by-migration", "FAIL")
ANON = "hugetlb-anon-migration"
# On 5.9 the other race hides hugetlb-uffd until it is fixed.
HIDDEN = f"fixes/{ANON}"
CASES = [
    ("v6.0", "none", *MISSING),
    ("v6.0", "none", *PUNCH),
    ("v5.15", "none", *MISSING),
    ("v5.15", "none", *PUNCH),
    ("v5.10", "none", *MISSING),
    ("v5.10", "none", *PUNCH),
    ("v5.9", "none", ANON, "move-share", "CRASH"),
    ("v5.9", "none", ANON, "move-unmap", "CRASH"),
    ("v5.9", "none", *PUNCH),
    ("v5.9", HIDDEN, *MISSING),
]
# The base of a tree, and the races that `fixes` puts right in it; a note of a fixed tree is all.
APPLIED = {
    "debian:6.12": ("6.12", set()),
    "debian:6.1": ("6.1", set()),
    "v6.0": ("6.0", {"hugetlb-uffd", "khugepaged-retract"}),
    "v5.15": ("5.15", {"hugetlb-uffd", "khugepaged-retract"}),
    "v5.10": ("5.10", {"hugetlb-uffd", "khugepaged-retract"}),
    "v5.9": ("5.9", {ANON, "hugetlb-uffd", "khugepaged-retract"}),
}


@pytest.fixture(scope="session")
def trees(mmrace):
    """The commit of each tree that is here, by name."""
    return {tree["name"]: tree["commit"] for tree in mmrace("tree", "list").document["trees"]}


@pytest.mark.parametrize("tree", APPLIED)
def test_fixes_find_their_base_and_change_nothing_where_all_is_there(mmrace, trees, tree):
    if tree not in trees:
        pytest.skip(f"not here: {tree}")
    base, races = APPLIED[tree]
    done = mmrace("apply", "fixes", "--tree", tree)
    assert (done.code, done.document["base"]) == (0, base), done.text
    assert {name.partition("/")[0] for name in done.document["applied"]} == races
    assert (done.document["commit"] == trees[tree]) == (not races)
    there = {name.partition("/")[0] for name in done.document["already"]}
    assert there == {ANON, "hugetlb-uffd", "khugepaged-retract", "exec-stack-migration"} - races


@pytest.mark.slow
@pytest.mark.parametrize(("tree", "before", "race", "workload", "outcome"), CASES)
def test_a_release_has_the_bug_and_holds_with_the_fixes(
    mmrace, trees, tree, before, race, workload, outcome
):
    if tree not in trees:
        pytest.skip(f"not here: {tree}")
    words = ("run", "--race", race, "--workload", workload, "--tree", tree, "--for", "60s")
    shown = mmrace(*words, "--series", before).run(workload)
    assert shown["outcome"] == outcome, shown
    assert shown["signature_matched"]
    shown = mmrace(*words, "--series", "fixes").run(workload)
    assert shown["outcome"] == "PASS", shown


@pytest.mark.slow
@pytest.mark.parametrize(("series", "steer"), [("none", "--steer"), ("fixes", "--no-steer")])
def test_move_pages12_crashes_a_pristine_5_9_and_its_eio_is_no_failure(
    mmrace, trees, ltp, series, steer
):
    if "v5.9" not in trees:
        pytest.skip("not here: v5.9")
    words = ("run", "--race", ANON, "--workload", "move_pages12", "--ltp", ltp, "--tree", "v5.9")
    shown = mmrace(*words, "--series", series, steer, "--for", "10s").run("move_pages12")
    if series == "none":
        assert (shown["outcome"], shown["signature_matched"]) == ("CRASH", True), shown
        assert shown["seconds_to_failure"] < 120
    else:
        assert shown["outcome"] == "PASS", shown
        assert shown["exercised"]["ltp:passed"] >= 1
