# SPDX-License-Identifier: GPL-2.0-only
"""The witness of each race fails on the vulnerable kernel, and never on the fixed one."""

import pytest

from mmrace.data import data_dir
from mmrace.definitions.race import load_race

TREE = ("--tree", "debian:6.1", "--series")
TIMES = 6  # replays of one boot
BOOTS = 2


def case(path):
    """A witness and its race's series; slow is one whose kernels have to be built."""
    race = load_race(path.parent.name)
    own = "" if race.shared else f"/{race.name}"
    marks = pytest.mark.slow if own else ()
    series = (f"vulnerable{own}", f"fixes{own}")
    return pytest.param(path, *series, id=f"{race.name}-{path.stem}", marks=marks)


WITNESSES = [case(path) for path in sorted(data_dir("races").glob("*/witness*.toml"))]


@pytest.mark.parametrize(("path", "bug", "fix"), WITNESSES)
def test_a_witness_shows_its_race_before_the_fix(mmrace, path, bug, fix):
    """A boot may be so near to its failure that replays fail before the order has begun."""
    for _ in range(BOOTS):
        done = mmrace("replay", str(path), *TREE, bug, "--times", str(TIMES))
        assert done.document["failed"] >= TIMES - 1, done.text
        assert not done.document["foreign"]
        assert done.code == 1
        if done.document["shown"] >= TIMES // 2:
            return
    pytest.fail(f"it fails of itself, not of the order: {done.text}")


@pytest.mark.parametrize(("path", "bug", "fix"), WITNESSES)
def test_a_witness_comes_to_its_first_point_after_the_fix_and_holds(mmrace, path, bug, fix):
    done = mmrace("replay", str(path), *TREE, bug, "--series", fix, "--times", str(TIMES))
    assert done.document["failed"] == 0, done.text
    assert done.document["reached"] == TIMES
    assert not done.document["foreign"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exec-stack-migration", "hugetlb-uffd", "khugepaged-retract"])
def test_a_hunt_finds_an_order_that_shows_the_race_before_the_fix_only(mmrace, tmp_path, name):
    found = tmp_path / "found.toml"
    done = mmrace("hunt", "--race", name, *TREE, "vulnerable", "--seed", "1", "--out", str(found))
    assert done.code == 0, done.text
    assert done.document["proven"]
    fixed = ("vulnerable", "--series", "fixes", "--times", str(TIMES))
    done = mmrace("replay", str(found), *TREE, *fixed)
    assert done.document["failed"] == 0, done.text
    assert done.document["reached"] == TIMES
