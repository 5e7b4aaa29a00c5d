# SPDX-License-Identifier: GPL-2.0-only
"""What a fix costs, counted on a real kernel."""

TREE = "debian:6.1"


def test_operations_are_counted_before_and_after_a_fix(mmrace):
    words = ("--race", "exec-stack-migration", "--tree", TREE, "--for", "3s")
    said = mmrace("cost", *words, "--before", "vulnerable", "--after", "fixes")
    assert said.code == 0, said.text
    found = {item["operation"]: item for item in said.document["operations"]}
    assert set(found) == {"exec-2m", "exec-2m-stack", "exec-1k", "exec-1k-stack"}
    for item in found.values():
        for side in ("before", "after"):
            assert item[side]["repeats"] >= 20
            assert item[side]["low"] <= item[side]["median"] <= item[side]["high"]
    for side in ("before", "after"):
        whole, part = found["exec-2m"][side], found["exec-2m-stack"][side]
        assert part["median"] < whole["median"]
        assert found["exec-1k"][side]["median"] < whole["median"]
