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


@pytest.mark.mmrace(series="vulnerable")
@pytest.mark.parametrize(("race", "workload", "outcome"), RACES)
def test_the_race_shows_before_its_fix(mmrace_vm, race, workload, outcome):
    shown = mmrace_vm.run(workload, race=race, seconds=120)
    assert shown.outcome == outcome, shown.judgement
    assert shown.judgement.signature_matched, shown.judgement.title
    assert shown.judgement.seconds_to_failure <= 120


@pytest.mark.mmrace(series=("vulnerable", "fixes"))
@pytest.mark.parametrize(("race", "workload"), ALL)
def test_the_race_holds_after_its_fix(mmrace_vm, race, workload):
    shown = mmrace_vm.run(workload, race=race, seconds=30)
    assert shown.outcome == "PASS", shown.judgement
    assert shown.judgement.exercised
