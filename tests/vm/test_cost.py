# SPDX-License-Identifier: GPL-2.0-only
"""What a fix costs, counted on a real kernel."""

import pytest

TREE = "debian:6.1"
PLACEHOLDER = "alternatives/exec-placeholder-"
EXEC = {"exec-2m", "exec-2m-stack", "exec-1k", "exec-1k-stack", "compact-beside-exec"}
OTHERS = [
    ("hugetlb-anon-migration", {"migrate-huge"}),
    ("hugetlb-uffd", {"userfault-missing", "userfault-minor"}),
    ("khugepaged-retract", {"collapse"}),
]


def counted(mmrace, race, after, *words):
    """The figures of a race's operations, by name."""
    argv = ("--race", race, "--tree", TREE, "--before", "vulnerable", "--after", after)
    said = mmrace("cost", *argv, *words)
    assert said.code == 0, said.text
    found = {item["operation"]: item for item in said.document["operations"]}
    for item in found.values():
        for side in ("before", "after"):
            assert item[side]["repeats"] >= 20
            assert item[side]["low"] <= item[side]["median"] <= item[side]["high"]
    return found


def test_operations_are_counted_before_and_after_a_fix(mmrace):
    found = counted(mmrace, "exec-stack-migration", "fixes", "--for", "3s")
    assert set(found) == EXEC
    for side in ("before", "after"):
        whole, part = found["exec-2m"][side], found["exec-2m-stack"][side]
        assert part["median"] < whole["median"]
        assert found["exec-1k"][side]["median"] < whole["median"]
    share = {side: found["compact-beside-exec"][side]["counters"] for side in ("before", "after")}
    failed = {side: share[side]["vmstat:pgmigrate_fail"] for side in share}
    assert failed["after"] > failed["before"]  # what the skip is paid with


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ordered", "locked"])
def test_a_placeholder_is_paid_by_exec(mmrace, form):
    found = counted(mmrace, "exec-stack-migration", PLACEHOLDER + form, "--for", "3s")
    assert found["exec-1k-stack"]["added"] > 0
    assert found["exec-1k-stack"]["clear"]


@pytest.mark.slow
@pytest.mark.parametrize(("race", "operations"), OTHERS)
def test_the_other_fixes_are_counted_as_well(mmrace, race, operations):
    assert set(counted(mmrace, race, "fixes", "--for", "15s")) == operations
