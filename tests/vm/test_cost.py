# SPDX-License-Identifier: GPL-2.0-only
"""What a fix costs, counted on a real kernel."""

import pytest

TREE = "debian:6.1"
PLACEHOLDER = "alternatives/exec-placeholder-"
COMPACT = "compact-beside-exec"
EXEC = {"exec-2m", "exec-2m-stack", "exec-1k", "exec-1k-stack"}
ONLY_EXEC = [word for name in sorted(EXEC) for word in ("--operation", name)]
OTHERS = [
    ("hugetlb-anon-migration", {"migrate-huge"}),
    ("hugetlb-uffd", {"userfault-missing", "userfault-minor"}),
]


def counted(mmrace, race, after, *words):
    """The figures of a race's operations, by name."""
    argv = ("--race", race, "--tree", TREE, "--before", "vulnerable", "--after", after)
    done = mmrace("cost", *argv, *words)
    assert done.code == 0, done.text
    found = {item["operation"]: item for item in done.document["operations"]}
    for item in found.values():
        for side in ("before", "after"):
            assert item[side]["repeats"] >= 20
            assert item[side]["low"] <= item[side]["median"] <= item[side]["high"]
    return found


def test_operations_are_counted_before_and_after_a_fix(mmrace):
    found = counted(mmrace, "exec-stack-migration", "fixes", *ONLY_EXEC, "--for", "3s")
    assert set(found) == EXEC
    for side in ("before", "after"):
        whole, part = found["exec-2m"][side], found["exec-2m-stack"][side]
        assert part["median"] < whole["median"]
        assert found["exec-1k"][side]["median"] < whole["median"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ordered", "locked"])
def test_a_placeholder_is_paid_by_exec(mmrace, form):
    words = (*ONLY_EXEC, "--for", "3s")
    found = counted(mmrace, "exec-stack-migration", PLACEHOLDER + form, *words)
    assert found["exec-1k-stack"]["added"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("after", ["fixes", PLACEHOLDER + "ordered", PLACEHOLDER + "locked"])
def test_compaction_beside_execs_is_counted(mmrace, after):
    # The kernel before may crash in it, and then has no figure.
    words = ("--tree", TREE, "--before", "vulnerable", "--after", after, "--for", "8s")
    done = mmrace("cost", "--race", "exec-stack-migration", "--operation", COMPACT, *words)
    (found,) = done.document["operations"]
    assert found["after"]["repeats"] >= 20
    assert found["after"]["counters"]["execs"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("race", "operations"), OTHERS)
def test_the_other_fixes_are_counted_as_well(mmrace, race, operations):
    assert set(counted(mmrace, race, "fixes", "--for", "30s")) == operations


@pytest.mark.slow
def test_a_collapse_is_counted(mmrace):
    # The kernel before crashes in it, and then has no figure.
    words = ("--tree", TREE, "--before", "vulnerable", "--after", "fixes", "--for", "8s")
    (found,) = mmrace("cost", "--race", "khugepaged-retract", *words).document["operations"]
    assert found["after"]["repeats"] >= 20
