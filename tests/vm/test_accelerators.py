# SPDX-License-Identifier: GPL-2.0-only
"""The accelerator that is chosen is one that works, and the run says why."""

import json
from pathlib import Path

import pytest

ARGV = ("--workload", "collapse-punch", "--for", "2s", "--no-steer")


def test_the_run_says_which_accelerator_was_chosen_and_why(after):
    run = after("khugepaged-retract", *ARGV, "--accel", "auto").document["runs"][0]
    vm = json.loads((Path(run["run_dir"]) / "qemu.json").read_text())
    assert vm["accel"] == run["accel"]
    assert vm["accel_reason"]


def test_a_guest_runs_under_kvm(after):
    done = after("khugepaged-retract", *ARGV, "--accel", "kvm")
    if done.code == 2 and "KVM does not work here" in done.text:
        pytest.skip(f"KVM absent: {done.text.strip().splitlines()[-1]}")
    assert done.document["runs"][0]["accel"] == "kvm"
    assert done.document["runs"][0]["outcome"] in ("PASS", "NOT_EXERCISED")
