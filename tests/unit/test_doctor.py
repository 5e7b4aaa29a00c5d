# SPDX-License-Identifier: GPL-2.0-only
import pytest

from mmrace.doctor import Check, examine


def check(qemu: str) -> Check:
    known = {"cpus": 2, "memory": 8 << 30, "disk": 99 << 30, "kvm": "", "kvm_steering": ""}
    checks = examine((), **known, version=qemu)  # type: ignore[arg-type]
    return next(check for check in checks if check.name == "QEMU")


@pytest.mark.parametrize("version", ["7.2.22", "10.0.2", "11.1.3"])
def test_a_qemu_that_was_tested_is_named(version: str) -> None:
    assert check(version) == Check("QEMU", True, version)


def test_another_qemu_is_told_what_was_tested() -> None:
    found = check("9.2.1")
    assert found.ok
    assert found.advice == "steering and replays were tested with 7.2, 10.0, 11.1"


def test_no_qemu_is_missing() -> None:
    found = check("")
    assert (found.ok, found.advice) == (False, "apt-get install qemu-system-x86")
