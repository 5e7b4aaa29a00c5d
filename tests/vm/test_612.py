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
SELFTESTS = [("hugetlb-uffd", "uffd-stress"), ("khugepaged-retract", "khugepaged-selftest")]


@pytest.fixture
def run(mmrace):
    def call(race, workload, *series, seconds="60s"):
        argv = [word for name in series for word in ("--series", name)]
        argv += ["--race", race, "--workload", workload, "--tree", "debian:6.12", "--for", seconds]
        return mmrace("run", *argv).run(workload)

    return call


@pytest.mark.parametrize(("race", "workload"), WORKLOADS)
def test_the_race_shows_before_its_fix(run, race, workload):
    made = run(race, workload, "vulnerable")
    assert made["signature_matched"], (made["outcome"], made["title"], made["notes"])


@pytest.mark.parametrize(("race", "workload"), WORKLOADS)
def test_the_race_holds_after_its_fix(run, race, workload):
    made = run(race, workload, "vulnerable", "fixes")
    assert made["outcome"] == "PASS", (made["title"], made["notes"])


@pytest.mark.parametrize(("race", "workload"), SELFTESTS)
def test_the_trees_own_selftest_runs(run, race, workload):
    made = run(race, workload, "vulnerable", "fixes", seconds="20s")
    assert made["outcome"] == "PASS", (made["title"], made["notes"])
