# SPDX-License-Identifier: GPL-2.0-only
"""The other fixes of exec-stack-migration: two are right, one is wrong in its order alone."""

import pytest

SERIES = "alternatives/exec-placeholder-"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ordered", "locked"])
@pytest.mark.parametrize("workload", ["exec-storm", "exec-storm-visits"])
def test_a_right_placeholder_holds(before, form, workload):
    words = ("--workload", workload, "--for", "20s", "--series", SERIES + form)
    shown = before("exec-stack-migration", *words).run(workload)
    assert shown["outcome"] == "PASS", shown


def test_the_wrong_order_is_found_out(before):
    words = ("--workload", "exec-storm-visits", "--for", "60s", "--series", SERIES + "unordered")
    shown = before("exec-stack-migration", *words).run("exec-storm-visits")
    assert shown["outcome"] == "CRASH", shown
    assert shown["signature_matched"]


def test_a_fix_of_the_missing_path_alone_fails_the_minor_driver(before):
    words = ("--series", "alternatives/uffd-missing-only", "--for", "60s")
    shown = before("hugetlb-uffd", "--workload", "minor-by-migration", *words)
    shown = shown.run("minor-by-migration")
    assert shown["outcome"] == "FAIL", shown
    assert shown["signature_matched"]
