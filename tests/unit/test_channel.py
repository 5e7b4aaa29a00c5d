# SPDX-License-Identifier: GPL-2.0-only
"""The result channel: what the guest reported, whole or torn."""

import pytest

from mmrace.judging.channel import Result, parse, second_of

WHOLE = b"""KTAP version 1
# release 6.1.192
# invariant hugepages_free 128
# start anon-mover
# out mmrace: race
# out mmrace: count migrated 10
# count vmstat:pgmigrate_success 7
# out mmrace: count migrated 30
ok 1 - anon-mover # exit=0 seconds=2.02
# out mmrace: count migrated 5
# count vmstat:pgmigrate_success 70
# out mmrace: fail a page was there and then it was not
not ok 2 - anon-mover # exit=1 seconds=0.50
# invariant hugepages_free 126
1..2
# end
"""


def test_whole_report() -> None:
    channel = parse(WHOLE)
    assert channel.release == "6.1.192"
    assert channel.name == "anon-mover"
    assert channel.started == WHOLE.index(b"# start")
    assert channel.raced == WHOLE.index(b"# out mmrace: race")
    assert channel.before == {"hugepages_free": 128}
    assert channel.after == {"hugepages_free": 126}
    assert channel.complete
    assert channel.torn == 0
    assert [item.text for item in channel.failures] == ["a page was there and then it was not"]
    assert [(item.result, item.exit_code, item.seconds) for item in channel.iterations] == [
        (Result.OK, 0, 2.02),
        (Result.NOT_OK, 1, 0.5),
    ]


def test_stressor_counters_are_summed_and_those_of_pid_1_are_not() -> None:
    counters = parse(WHOLE).counters
    assert counters == {"migrated": 35, "vmstat:pgmigrate_success": 70, "iterations": 1}


def test_counters_of_an_iteration_that_was_cut_stand() -> None:
    channel = parse(b"# start x\n# out mmrace: count n 3\n# cut seconds=1.20\n1..0\n# end\n")
    assert channel.counters == {"n": 3, "iterations": 0}
    assert channel.torn == 0


def test_time_in_the_race_phase() -> None:
    data = b"# start x\n# out mmrace: race\nok 1 - x # exit=0 seconds=2.60 raced=2.50\n"
    first = parse(data)
    assert first.seconds_raced == 2.5
    cut = parse(data + b"# out mmrace: race\n# cut seconds=1.20 raced=0.80\n")
    assert cut.seconds_raced == pytest.approx(3.3)
    assert cut.races == (10, len(data))
    old = parse(data + b"ok 2 - x # exit=0 seconds=2.60\n")
    assert old.seconds_raced is None
    assert old.iterations[1].raced is None


def test_signal_skip_and_bare_results() -> None:
    data = b"not ok 1 - x # signal=9 seconds=1.0\nok 2 - x # SKIP exit=32 seconds=0.1\nnot ok 3\n"
    first, second, third = parse(data).iterations
    assert (first.exit_code, second.result, third.exit_code) == (-9, Result.SKIP, None)


def test_ltp_summary_becomes_counters() -> None:
    summary = ["Summary:", "passed   2", "failed   0", "broken   0", "skipped  1", "warnings 0"]
    data = "".join(f"# out {line}\n" for line in summary) + "ok 1 - mp # exit=0 seconds=1\n"
    counters = parse((data * 2).encode()).counters
    assert counters == {
        "ltp:passed": 4,
        "ltp:failed": 0,
        "ltp:broken": 0,
        "ltp:skipped": 2,
        "iterations": 2,
    }


def test_a_summary_elsewhere_is_no_counter() -> None:
    assert parse(b"# out passed 3\n").counters == {"iterations": 0}


def test_workload_cannot_forge_a_result() -> None:
    channel = parse(b"# start x\n# out ok 1 - x # exit=0 seconds=1\n# out # end\n")
    assert channel.iterations == ()
    assert not channel.complete


def test_quoted_bytes_come_back() -> None:
    (line,) = parse(rb"# out a\\b \xc3\xa4 \x1b[1m" + b"\n").output
    assert line.text == "a\\b \u00e4 \x1b[1m"


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 7))
def test_cut_off_anywhere(cut: int) -> None:
    channel = parse(WHOLE[:cut])
    assert not channel.complete
    assert len(channel.iterations) <= 2
    assert channel.counters.get("migrated", 0) in (0, 10, 30, 35)


def test_an_unfinished_line_says_nothing() -> None:
    assert parse(b"# start x\n# out mmrace: count n 12").counters == {"iterations": 0}
    assert not parse(b"# end").complete


def test_garbage_is_counted_and_passed_by() -> None:
    channel = parse(
        b"\0\xff\xfe# start\r\n# start x\r\nok 1 - x # exit=0 seconds=1\r\nrubb\n# end\r\n"
    )
    assert channel.name == "x"
    assert channel.passed == 1
    assert channel.complete
    assert channel.torn == 2


def test_bail_out() -> None:
    assert parse(b"Bail out! the image has no program x\n").bailed == "the image has no program x"


def test_second_of_an_offset() -> None:
    times = ((0.5, 0), (1.5, 100), (2.5, 150))
    assert second_of(times, 0) == 0.5
    assert second_of(times, 99) == 0.5
    assert second_of(times, 100) == 1.5
    assert second_of(times, 9999) == 2.5
    assert second_of((), 5) is None
