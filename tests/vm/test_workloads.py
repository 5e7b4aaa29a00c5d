# SPDX-License-Identifier: GPL-2.0-only
"""Other people's tests, unmodified: LTP's and the kernel tree's own."""

import pytest


@pytest.mark.slow  # several minutes, in which it says nothing
def test_move_pages12_runs_to_its_end_on_the_fixed_kernel(after, ltp):
    argv = ("--workload", "move_pages12", "--ltp", ltp, "--no-steer", "--for", "10s")
    run = after("hugetlb-anon-migration", *argv).run("move_pages12")
    assert run["outcome"] == "PASS", (run["title"], run["notes"])
    assert run["exercised"]["ltp:passed"] >= 1


def test_move_pages12_runs_to_its_end_or_to_the_crash_on_the_vulnerable_one(before, ltp):
    argv = ("--workload", "move_pages12", "--ltp", ltp, "--for", "10s")
    run = before("hugetlb-anon-migration", *argv).run("move_pages12")
    assert run["outcome"] in ("CRASH", "PASS"), (run["title"], run["notes"])
    assert run["signature_matched"] == (run["outcome"] == "CRASH"), run["title"]


@pytest.mark.parametrize(
    ("race", "workload"),
    [("hugetlb-uffd", "selftest"), ("khugepaged-retract", "khugepaged-selftest")],
)
def test_the_trees_own_selftest_holds_on_the_fixed_kernel(after, race, workload):
    run = after(race, "--workload", workload, "--for", "15s").run(workload)
    assert run["outcome"] == "PASS", (run["title"], run["notes"])


def test_steering_makes_the_selftest_show_its_race(before):
    # It comes within 15 s in one run of three, and ends the run.
    run = before("hugetlb-uffd", "--workload", "selftest", "--steer", "--for", "300s").run(
        "selftest"
    )
    assert run["outcome"] == "FAIL", (run["title"], run["notes"])
    assert run["signature_matched"], run["title"]
    assert all(window["met"] for window in run["windows"])


def test_a_stack_that_is_not_shifted_proves_nothing(after):
    argv = ("--workload", "exec-storm", "--no-steer", "--for", "5s", "--boot", "norandmaps")
    run = after("exec-stack-migration", *argv).run("exec-storm")
    assert run["outcome"] == "NOT_EXERCISED", (run["title"], run["exercised"])
    assert run["exercised"]["shifted"] == 0
