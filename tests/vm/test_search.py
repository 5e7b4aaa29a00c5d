# SPDX-License-Identifier: GPL-2.0-only
"""Searches on a real kernel: what they watch, and that they find a race from its workload alone."""

import pytest

pytestmark = pytest.mark.slow

TREE = ("--tree", "debian:6.1", "--series", "vulnerable")


@pytest.fixture(scope="module")
def hunted(mmrace, tmp_path_factory):
    out = tmp_path_factory.mktemp("hunt") / "found.toml"
    words = ("--race", "hugetlb-uffd", *TREE, "--for", "4m", "--seed", "1", "--out", str(out))
    return mmrace("hunt", *words)


def test_a_race_is_found_from_its_workload_alone(hunted):
    assert hunted.code in (0, 3), hunted.text  # proven, or found and not proven on a busy host
    tried = hunted.document["tried"]
    assert tried["failures"] >= 1, hunted.text
    assert hunted.document["first_failure"] < 120
    assert tried["schedules"] > 20
    assert tried["holds"] > 20
    assert tried["pairs"] > 100


def test_holds_take_half_of_the_race_phase_at_most(hunted):
    tried = hunted.document["tried"]
    assert tried["held"] <= 0.55 * tried["armed"] + 0.1 * tried["boots"]


def test_the_profile_names_functions_and_lines(mmrace, hunted):
    assert hunted.document["profiled_pairs"] > 100
    done = mmrace("points", "--profile", "--race", "hugetlb-uffd", *TREE, "--most", "400")
    assert done.code == 0, done.text
    pairs = done.document["pairs"]
    assert [pair["gap"] for pair in pairs] == sorted(pair["gap"] for pair in pairs)
    within = {end["within"] for pair in pairs for end in (pair["first"], pair["second"])}
    assert {"hugetlb_fault", "try_to_migrate_one"} <= within
    assert any(pair["first"]["place"].startswith("mm/") for pair in pairs)


def test_an_attack_finds_the_path_that_a_fix_leaves_open(mmrace, tmp_path):
    words = ("--race", "hugetlb-uffd", "--tree", "debian:6.1", "--before", "vulnerable")
    wrong = ("--after", "alternatives/uffd-missing-only", "--out", str(tmp_path / "w.toml"))
    done = mmrace("attack", *words, *wrong, "--for", "8m", "--seed", "1", timeout=1200)
    assert done.code == 1, done.text
    assert done.document["workload"].startswith("minor-"), done.text
    assert any(run["side"] == "after" for run in done.document["runs"])


def test_an_attack_on_a_fix_finds_nothing_and_says_what_it_tried(mmrace):
    words = ("--race", "khugepaged-retract", "--tree", "debian:6.1", "--before", "vulnerable")
    done = mmrace("attack", *words, "--after", "fixes", "--for", "2m", "--seed", "1", timeout=900)
    assert done.code == 0, done.text
    assert done.document["failure"] is None
    assert done.document["schedules"] > 100
    assert done.document["pairs"] > 100
