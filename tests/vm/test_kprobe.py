# SPDX-License-Identifier: GPL-2.0-only
"""Windows by kprobes, in a module that the guest loads: before a fix and after it."""

import pytest

RACE = "khugepaged-retract"
ARGV = ("--workload", "collapse-punch", "--steer-by", "kprobe", "--accel", "tcg")


def counted(run):
    (window,) = run["windows"]
    assert window["by"] == "kprobe"
    return window


@pytest.mark.slow
def test_the_race_is_met_in_the_kernel_itself(before):
    done = before(RACE, *ARGV, "--for", "60s")
    run = done.run("collapse-punch")
    assert run["outcome"] == "CRASH", done.text
    assert run["signature_matched"], run["title"]
    window = counted(run)
    assert window["hits"] >= window["met"] > 0


@pytest.mark.slow
def test_the_fixed_kernel_holds_and_is_exercised_under_them(after):
    done = after(RACE, *ARGV, "--for", "30s")
    run = done.run("collapse-punch")
    assert run["outcome"] == "PASS", done.text
    assert run["exercised"]["punches"] > 0
    assert counted(run)["hits"] > 0


@pytest.mark.slow
def test_the_kernel_is_the_one_that_the_director_steers(before):
    argv = ("--workload", "collapse-punch", "--for", "1s")
    by_kprobe = before(RACE, *ARGV, "--for", "1s").run("collapse-punch")
    by_director = before(RACE, *argv).run("collapse-punch")
    assert by_kprobe["kernel_id"] == by_director["kernel_id"]
