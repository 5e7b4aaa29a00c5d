# SPDX-License-Identifier: GPL-2.0-only
"""Older kernels as they were released: they have the bugs, and hold with the fixes on top.

Whoever has such a source adds it under the name used here: mmrace tree add v5.9 SOURCE.
"""

import pytest

PUNCH = ("khugepaged-retract", "uprobe-punch", "CRASH")
MISSING = ("hugetlb-uffd", "missing-by-migration", "FAIL")
# On 5.9 the other race hides hugetlb-uffd until it is fixed.
HIDDEN = "fixes/hugetlb-anon-migration"
CASES = [
    ("v6.0", "none", *MISSING),
    ("v6.0", "none", *PUNCH),
    ("v5.15", "none", *MISSING),
    ("v5.15", "none", *PUNCH),
    ("v5.9", "none", "hugetlb-anon-migration", "move-share", "CRASH"),
    ("v5.9", "none", *PUNCH),
    ("v5.9", HIDDEN, *MISSING),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def trees(mmrace):
    return {tree["name"] for tree in mmrace("tree", "list").document["trees"]}


@pytest.mark.parametrize(("tree", "before", "race", "workload", "outcome"), CASES)
def test_a_release_has_the_bug_and_holds_with_the_fixes(
    mmrace, trees, tree, before, race, workload, outcome
):
    if tree not in trees:
        pytest.skip(f"not here: {tree}")
    words = ("run", "--race", race, "--workload", workload, "--tree", tree, "--for", "30s")
    shown = mmrace(*words, "--series", before).run(workload)
    assert shown["outcome"] == outcome, shown
    assert shown["signature_matched"]
    shown = mmrace(*words, "--series", "fixes").run(workload)
    assert shown["outcome"] == "PASS", shown
