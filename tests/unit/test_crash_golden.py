# SPDX-License-Identifier: GPL-2.0-only
"""The console logs that mmrace recorded read as they did when a person looked at them."""

import pytest

import golden_console
from mmrace.crash import parse


@pytest.mark.parametrize("golden", golden_console.all_logs(), ids=lambda golden: golden.path.stem)
def test_console_reads_as_expected(golden: golden_console.Golden) -> None:
    assert golden_console.describe(golden.console) == golden.expected


def test_update_writes_an_expectation_that_reads_back(tmp_path) -> None:
    path = tmp_path / "some.log"
    console = b"[    1.000000] BUG: Bad rss-counter state mm:1 type:MM_ANONPAGES val:2\r\n\0"
    path.write_bytes(console)
    assert golden_console.update(golden_console.read(path))
    again = golden_console.read(path)
    assert again.console == console
    assert "title: BUG: Bad rss-counter state" in again.expected
    assert not golden_console.update(again)


@pytest.mark.parametrize("golden", golden_console.all_logs(), ids=lambda golden: golden.path.stem)
def test_behind_the_end_of_a_report_only_later_ones_are_found(golden) -> None:
    found = parse(golden.console)
    for number, item in enumerate(found):
        rest = [later.title for later in parse(golden.console[item.end :])]
        assert rest == [later.title for later in found[number + 1 :]]
