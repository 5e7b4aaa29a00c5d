# SPDX-License-Identifier: GPL-2.0-only
"""``verify`` and ``bisect`` on real kernels. Each verdict takes some minutes."""

import os
from pathlib import Path

import pytest

from mmrace.home import Home
from vm.planted import Planted, plant

pytestmark = pytest.mark.slow

SERIES = Path(__file__).parents[1] / "data" / "series"
FIXED = [
    ("exec-stack-migration", "20s", "--no-steer"),
    ("khugepaged-retract", "15s", "--no-steer"),
    ("hugetlb-uffd", "20s", "--no-steer"),
    ("hugetlb-anon-migration", "20s", "--steer"),
]
BISECTED = [
    ("exec-stack-migration", "15s", "--no-steer"),
    ("hugetlb-uffd", "15s", "--no-steer"),
    ("hugetlb-anon-migration", "20s", "--steer"),
]


def verify(mmrace, race, after, *argv):
    words = (
        "verify",
        "--race",
        race,
        "--tree",
        "debian:6.1",
        "--before",
        "vulnerable",
        "--no-attack",
    )
    return mmrace(*words, "--after", after, *argv, timeout=3600)


@pytest.mark.parametrize(("race", "seconds", "steer"), FIXED)
def test_a_fix_is_fixed(mmrace, race, seconds, steer):
    done = verify(mmrace, race, "fixes", "--for", seconds, steer)
    assert done.document["verdict"] == "FIXED", done.text
    assert done.code == 0
    assert done.document["p_value"] <= 0.001
    assert done.document["after"]["failures"] == 0
    assert not done.document["after_other"]


@pytest.mark.parametrize(
    ("race", "name"),
    [
        ("hugetlb-uffd", "half"),
        ("hugetlb-uffd", "rarer"),
        ("exec-stack-migration", "shorter"),
    ],
)
def test_a_fix_that_leaves_the_race_is_not_fixed(mmrace, race, name):
    series = str(SERIES / f"{race}-{name}.patch")
    done = verify(mmrace, race, series, "--no-steer", "--for", "20s")
    assert done.document["verdict"] == "NOT_FIXED", done.text
    assert done.code == 1
    assert done.document["after"]["failures"] >= 1


def test_a_fix_that_stops_the_machine_once_in_a_while_is_not_fixed(mmrace):
    series = str(SERIES / "hugetlb-uffd-stuck.patch")
    done = verify(mmrace, "hugetlb-uffd", series, "--no-steer", "--for", "10s", "--runs", "16")
    assert done.document["verdict"] != "FIXED", done.text
    assert done.document["after_other"], done.text


def test_a_workload_that_cannot_show_the_bug_decides_nothing(mmrace):
    words = ("--no-steer", "--workload", "selftest", "--for", "10s", "--runs", "4")
    done = verify(mmrace, "hugetlb-uffd", "fixes", *words)
    assert done.document["verdict"] == "INCONCLUSIVE", done.text
    assert done.code == 3
    assert done.document["more_runs_at_least"] > 0


def test_a_witness_gives_a_verdict_too(mmrace):
    witness = Path(__file__).parents[2] / "harness/races/exec-stack-migration/witness.toml"
    done = verify(mmrace, "exec-stack-migration", "fixes", "--witness", str(witness))
    assert done.document["verdict"] == "FIXED", done.text
    assert all(run["reached"] for run in done.document["runs"] if run["outcome"] != "INFEASIBLE")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(
        tmp_path_factory.mktemp("planted") / "linux.git", Home.from_environment(os.environ)
    )


@pytest.mark.parametrize(("race", "seconds", "steer"), BISECTED)
def test_the_commit_that_brings_a_race_back_is_named(mmrace, planted, race, seconds, steer):
    ends = ("--tree", str(planted.path), "--good", planted.first, "--bad", planted.last)
    done = mmrace("bisect", "--race", race, *ends, "--for", seconds, steer, timeout=7200)
    assert done.code == 0, done.text
    assert done.document["culprit"] == planted.culprits[race]
    assert done.document["confirmed"]


def test_the_patch_that_brings_a_race_back_is_named(mmrace):
    words = ("--race", "hugetlb-uffd", "--tree", "debian:6.1", "--series", "vulnerable")
    done = mmrace("bisect", *words, "--no-steer", "--for", "15s", timeout=7200)
    assert done.code == 0, done.text
    assert done.document["culprit"] == "0,1"  # the second patch, on top of the first
