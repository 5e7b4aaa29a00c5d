# SPDX-License-Identifier: GPL-2.0-only
"""The crash that a user wants, told in one of three ways."""

import re
from pathlib import Path

import pytest

from made_runs import BUG
from mmrace.crash.wanted import wanted_title
from mmrace.errors import UserError


@pytest.mark.parametrize(
    ("text", "fits", "other"),
    [
        ("KASAN: slab-use-after-free Read in foo", "KASAN: slab-use-after-free Read in foo", "bar"),
        ("WARNING in a[0]", "WARNING in a[0]", "WARNING in a"),
        ("KASAN: .* in foo$", "KASAN: double-free in foo", "KASAN: double-free in foobar"),
        ("BUG: bad (unclosed", "BUG: bad (unclosed", "BUG: bad"),
    ],
)
def test_a_title_or_an_expression(text: str, fits: str, other: str) -> None:
    assert re.search(wanted_title(text), fits)
    assert not re.search(wanted_title(text), other)


def test_a_console_log_gives_its_first_crash(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(BUG)
    pattern = wanted_title(str(log))
    assert re.search(pattern, "kernel BUG in made_to_fail")
    assert not re.search(pattern, "kernel BUG in made_to_fail_too")


def test_a_report_without_a_crash_gives_its_first_line(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("TITLE: possible deadlock in foo\n\nchain exists\n")
    assert re.search(wanted_title(str(report)), "possible deadlock in foo")
    report.write_text("\n")
    with pytest.raises(UserError, match="no crash in it; name"):
        wanted_title(str(report))
