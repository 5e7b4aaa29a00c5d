# SPDX-License-Identifier: GPL-2.0-only
"""Every format that a kernel prints is read: its kind, its function, as one report."""

import pytest

from crash_reports import Case, all_cases
from mmrace.crash import parse

BOOT = b"[    0.000000] Linux version 6.1.0\n[    0.100000] smp: Bringing up secondary CPUs ...\n"


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_report_is_read(case: Case) -> None:
    found = parse(BOOT + case.console)
    described = [(item.kind.name, item.function, item.title) for item in found]
    if not case.kind:
        assert described == []
        return
    title = case.words + (f" in {case.function}" if case.function else "")
    assert described == [(case.kind, case.function, title)]
    if case.reason:
        (item,) = found
        assert (item.corrupted or "whole") == case.reason
