# SPDX-License-Identifier: GPL-2.0-only
"""The other fixes of exec-stack-migration: two are right, one is wrong in its order alone."""

import pytest

from mmrace.definitions.race import race_dir

RACE = "exec-stack-migration"
SERIES = "alternatives/exec-placeholder-"
FAULTS = ["exec-faults", "exec-faults-two", "exec-faults-halfway"]
TREES = ["debian:6.1", "debian:6.12"]


def verify(mmrace, tree, after, workload, *argv):
    # With lockdep, and steered, an exec is slow: the min counts want 25 s and more.
    words = ("--race", RACE, "--tree", tree, "--before", "vulnerable", "--after", after)
    words += ("--workload", workload, "--config", "lockdep", "--for", "60s", *argv)
    return mmrace("verify", *words, "--no-attack", timeout=7200)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ordered", "locked"])
@pytest.mark.parametrize("workload", ["exec-storm", "exec-storm-visits"])
def test_a_right_placeholder_holds(before, form, workload):
    words = ("--workload", workload, "--for", "20s", "--series", SERIES + form)
    shown = before(RACE, *words).run(workload)
    assert shown["outcome"] == "PASS", shown


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize(
    ("after", "workload", "steer"),
    [
        ("fixes", "exec-storm", "--no-steer"),
        (SERIES + "ordered", "exec-storm-visits", "--steer"),
        (SERIES + "locked", "exec-storm-visits", "--steer"),
    ],
)
def test_a_right_fix_is_fixed_with_lockdep(mmrace, tree, after, workload, steer):
    done = verify(mmrace, tree, after, workload, steer)
    assert done.document["verdict"] == "FIXED", done.text
    assert done.document["after"]["failures"] == 0
    assert not done.document["after_other"]  # lockdep has nothing to say either


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
def test_the_wrong_order_is_not_fixed_with_lockdep(mmrace, tree):
    done = verify(mmrace, tree, SERIES + "unordered", "exec-storm-visits")
    assert done.document["verdict"] == "NOT_FIXED", done.text


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("form", ["unordered", "ordered", "locked"])
def test_the_witness_of_two_visits_tells_the_orders_apart(mmrace, tree, form):
    path = race_dir(RACE) / "witness-visits.toml"
    words = ("--tree", tree, "--series", "vulnerable", "--series", SERIES + form, "--times", "6")
    done = mmrace("replay", str(path), *words)
    assert done.document["reached"] == 6
    assert done.document["failed"] >= 5 if form == "unordered" else not done.document["failed"]


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("workload", FAULTS)
@pytest.mark.parametrize("form", ["ordered", "locked"])
def test_a_placeholder_leaves_nothing_behind_when_memory_fails(mmrace, tree, form, workload):
    words = ("--race", RACE, "--tree", tree, "--workload", workload, "--config", "faults")
    words += ("--series", "vulnerable", "--series", SERIES + form, "--no-steer", "--for", "10s")
    shown = mmrace("run", *words).run(workload)
    assert shown["outcome"] == "PASS", shown


def test_the_wrong_order_is_found_out(before):
    words = ("--workload", "exec-storm-visits", "--for", "60s", "--series", SERIES + "unordered")
    shown = before(RACE, *words).run("exec-storm-visits")
    assert shown["outcome"] == "CRASH", shown
    assert shown["signature_matched"]


def test_a_fix_of_the_missing_path_alone_fails_the_minor_driver(before):
    words = ("--series", "alternatives/uffd-missing-only", "--for", "60s")
    shown = before("hugetlb-uffd", "--workload", "minor-by-migration", *words)
    shown = shown.run("minor-by-migration")
    assert shown["outcome"] == "FAIL", shown
    assert shown["signature_matched"]
