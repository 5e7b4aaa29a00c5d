# SPDX-License-Identifier: GPL-2.0-only
"""Selftests that print KTAP: their results are counted and named."""

import pytest

from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.judging.channel import parse
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd

FIRST = """# out TAP version 13
# out 1..4
# out # a comment
# out ok 1 reads a page
# out not ok 2 writes a page
# out ok 3 needs hardware # SKIP there is none
not ok 1 - w # exit=1 seconds=1.00 raced=1.00
"""
CLEAN = "# out 1..1\n# out ok 1 reads a page\nok 1 - w # exit=0 seconds=1.00 raced=1.00\n"


def judged(output: str, source: Source = Source.SELFTEST, **exercised: int) -> Judgement:
    workload = Workload(
        name="w", summary="", source=source, argv=("w",), sources=("w.c",),
        min_counts=exercised or {"ktap:passed": 1},
    )  # fmt: skip
    signature = (Signature(title="none"),)
    race = Race(name="r", title="", summary="", signature=signature, workload=(workload,))
    channel = f"KTAP version 1\n# release 7.3.4\n# start w\n{output}1..1\n# end\n"
    return judge(Evidence(race, workload, VmEnd.EXITED, b"", channel.encode()))


def test_subtests_are_counted() -> None:
    counters = parse(f"# start w\n{FIRST}{CLEAN}".encode()).counters
    assert counters == {"ktap:passed": 2, "ktap:failed": 1, "ktap:skipped": 1, "iterations": 1}


def test_what_failed_is_named_and_what_is_lost_is_said() -> None:
    found = judged(FIRST)
    assert (found.outcome, found.title) == (Outcome.FAIL, "not ok 2 writes a page")
    [note] = [note for note in found.notes if note.startswith("subtests")]
    assert note == (
        "subtests: 1 passed, 1 failed, 1 skipped, 1 without a result; failed: writes a page"
    )


def test_subtests_can_be_min_counts() -> None:
    assert judged(CLEAN).outcome is Outcome.PASS
    assert judged(CLEAN, **{"ktap:passed": 2}).outcome is Outcome.NOT_EXERCISED


@pytest.mark.parametrize("source", [Source.STRESSOR, Source.LTP])
def test_other_programs_have_no_subtests(source: Source) -> None:
    assert not [note for note in judged(CLEAN, source).notes if note.startswith("subtests")]
