# SPDX-License-Identifier: GPL-2.0-only
"""Each race fails with its own signature before the fixes, and holds, exercised, after them."""

import pytest

RACES = [
    ("exec-stack-migration", "exec-storm", "CRASH"),
    ("khugepaged-retract", "collapse-punch", "CRASH"),
    ("hugetlb-uffd", "missing-by-migration", "FAIL"),
    ("hugetlb-anon-migration", "move-share", "CRASH"),
]
ALL = [(race, workload) for race, workload, _ in RACES]


@pytest.mark.parametrize(("race", "workload", "outcome"), RACES)
def test_the_race_shows_before_its_fix(before, race, workload, outcome):
    said = before(race, "--workload", workload, "--for", "120s")
    run = said.run(workload)
    assert run["outcome"] == outcome, said.text
    assert run["signature_matched"], run["title"]
    assert run["seconds_to_failure"] <= 120
    assert said.code == 1


@pytest.mark.parametrize(("race", "workload"), ALL)
def test_the_race_holds_after_its_fix(after, race, workload):
    said = after(race, "--workload", workload, "--for", "30s")
    run = said.run(workload)
    assert run["outcome"] == "PASS", (run["title"], run["notes"])
    assert run["exercised"]
    assert said.code == 0
