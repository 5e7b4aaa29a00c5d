# SPDX-License-Identifier: GPL-2.0-only
"""The witness of each race fails on the vulnerable kernel, and never on the fixed one."""

import pytest

from mmrace.data import data_dir

TREE = ("--tree", "debian:6.1", "--series", "vulnerable")
WITNESSES = sorted(data_dir("races").glob("*/witness.toml"))
TIMES = 4


@pytest.mark.parametrize("path", WITNESSES, ids=lambda path: path.parent.name)
def test_a_witness_shows_its_race_before_the_fix(mmrace, path):
    said = mmrace("replay", str(path), *TREE, "--times", str(TIMES))
    assert said.document["failed"] >= TIMES - 1, said.text
    assert said.document["shown"] >= TIMES - 2, "it fails of itself, not of the order"
    assert said.document["reached"] == TIMES
    assert not said.document["foreign"]
    assert said.code == 1


@pytest.mark.parametrize("path", WITNESSES, ids=lambda path: path.parent.name)
def test_a_witness_comes_to_its_first_point_after_the_fix_and_holds(mmrace, path):
    said = mmrace("replay", str(path), *TREE, "--series", "fixes", "--times", str(TIMES))
    assert said.document["failed"] == 0, said.text
    assert said.document["reached"] == TIMES
    assert not said.document["foreign"]
