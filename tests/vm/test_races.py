# SPDX-License-Identifier: GPL-2.0-only
"""Each race fails with its own signature before the fixes, and holds, exercised, after them.

The slow ones need kernels of their own, which have to be built once.
"""

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


OWN = ("pagemap-thp-split", "vulnerable/pagemap-thp-split", "fixes/pagemap-thp-split")


@pytest.mark.slow
@pytest.mark.mmrace(race=OWN[0], series=OWN[1])
def test_a_race_with_a_kernel_of_its_own_shows_before_its_fix(mmrace_vm):
    shown = mmrace_vm.run(seconds=60)
    assert shown.outcome == "CRASH", shown.judgement
    assert shown.judgement.signature_matched, shown.judgement.title


@pytest.mark.slow
@pytest.mark.mmrace(race=OWN[0], series=OWN[1:])
def test_it_holds_after_its_fix_and_without_huge_pages_proves_nothing(mmrace_vm):
    held = mmrace_vm.run(seconds=30)
    assert held.outcome == "PASS", held.judgement
    met = {window.name for window in held.judgement.windows if window.met}
    assert met >= {"split-among-tails", "reader-at-entry"}, held.judgement.windows
    idle = mmrace_vm.run(seconds=5, boot=("transparent_hugepage=never",))
    assert idle.outcome == "NOT_EXERCISED", idle.judgement
