# SPDX-License-Identifier: GPL-2.0-only
"""Linux 6.12: another kernel of five minutes' building, hence slow."""

import pytest

pytestmark = pytest.mark.slow
WORKLOADS = [
    ("exec-stack-migration", "exec-storm"),
    ("khugepaged-retract", "collapse-punch"),
    ("hugetlb-anon-migration", "move-share"),
    ("hugetlb-uffd", "missing-by-migration"),
]
VERIFIED = [
    ("exec-stack-migration", "--no-steer", "10s"),
    ("khugepaged-retract", "--no-steer", "8s"),
    ("hugetlb-uffd", "--no-steer", "10s"),
    ("hugetlb-anon-migration", "--steer", "20s"),
]
SELFTESTS = [("hugetlb-uffd", "uffd-stress"), ("khugepaged-retract", "khugepaged-selftest")]
before = pytest.mark.mmrace(tree="debian:6.12", series="vulnerable")
after = pytest.mark.mmrace(tree="debian:6.12", series=("vulnerable", "fixes"))


@before
@pytest.mark.parametrize(("race", "workload"), WORKLOADS)
def test_the_race_shows_before_its_fix(mmrace_vm, race, workload):
    shown = mmrace_vm.run(workload, race=race, seconds=60)
    assert shown.judgement.signature_matched, shown.judgement


@after
@pytest.mark.parametrize(("race", "workload"), WORKLOADS)
def test_the_race_holds_after_its_fix(mmrace_vm, race, workload):
    shown = mmrace_vm.run(workload, race=race, seconds=60)
    assert shown.outcome == "PASS", shown.judgement


@after
@pytest.mark.parametrize(("race", "workload"), SELFTESTS)
def test_the_trees_own_selftest_runs(mmrace_vm, race, workload):
    shown = mmrace_vm.run(workload, race=race, seconds=20)
    assert shown.outcome == "PASS", shown.judgement


@pytest.mark.parametrize(("race", "steer", "seconds"), VERIFIED)
def test_the_fix_is_fixed(mmrace, race, steer, seconds):
    words = ("--race", race, "--tree", "debian:6.12", "--before", "vulnerable", "--after", "fixes")
    done = mmrace("verify", *words, "--no-attack", steer, "--for", seconds, timeout=3600)
    assert done.document["verdict"] == "FIXED", done.text
