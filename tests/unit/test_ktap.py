# SPDX-License-Identifier: GPL-2.0-only
from hypothesis import given, settings
from hypothesis import strategies as st

from mmrace.judging.ktap import Result, parse, parse_ltp

KUNIT = b"""[    1.000000] KTAP version 1
[    1.000001] 1..2
[    1.000002]     KTAP version 1
[    1.000003]     # Subtest: lists
[    1.000004]     1..3
[    1.000005]     ok 1 empty
[    1.000006]     # add: EXPECTATION FAILED at lib/x.c:12
[    1.000007]     not ok 2 add
[    1.000008]     ok 3 slow # SKIP not today
[    1.000009] # lists: pass:1 fail:1 skip:1 total:3
[    1.000010] not ok 1 lists
[    1.000011]     # Subtest: trees
[    1.000012]     1..1
[    1.000013]         KTAP version 1
[    1.000014]         # Subtest: walk
[    1.000015]         ok 1 small
[    1.000016]         ok 2 large
[    1.000017]     ok 1 walk
[    1.000018] ok 2 trees
"""


def test_kunit_in_a_console_nests() -> None:
    found = parse(KUNIT)
    lists, trees = found.top.subtests
    assert (lists.name, lists.result) == ("lists", Result.FAIL)
    assert [case.result for case in lists.subtests] == [Result.PASS, Result.FAIL, Result.SKIP]
    assert lists.subtests[2].note == "SKIP not today"
    assert [case.name for case in trees.subtests[0].subtests] == ["small", "large"]
    assert found.top.planned == 2
    assert not trees.subtests[0].whole  # no plan for the innermost


def test_a_whole_log_is_complete() -> None:
    found = parse(b"KTAP version 1\n1..2\nok 1 a\nok 2 - b # SKIP\n")
    assert found.complete
    assert found.count(Result.SKIP) == 1
    assert found.top.subtests[1].name == "b"


def test_selftests_nest_by_hashes() -> None:
    found = parse(
        b"TAP version 13\n1..2\n# selftests: mm: soft-dirty\n# TAP version 13\n# 1..2\n"
        b"# ok 1 Test one\n# not ok 2 Test two\n# # Totals: pass:1 fail:1\n"
        b"not ok 1 selftests: mm: soft-dirty # exit=1\nok 2 selftests: mm: x # XFAIL known\n"
    )
    first, second = found.top.subtests
    assert first.name == "selftests: mm: soft-dirty"
    assert first.note == "exit=1"
    assert [case.result for case in first.subtests] == [Result.PASS, Result.FAIL]
    assert second.result is Result.EXPECTED
    assert found.complete


def test_a_panic_in_a_subtest_leaves_it_lost() -> None:
    cut = KUNIT[: KUNIT.index(b"[    1.000016]")]
    found = parse(cut + b"[    1.000016] BUG: kernel NULL pointer dereference, address: 0\n")
    assert found.top.result is Result.LOST
    lists, trees = found.top.subtests
    assert lists.result is Result.FAIL
    assert (trees.name, trees.result) == ("trees", Result.LOST)
    walk = trees.subtests[0]
    assert (walk.name, walk.result, walk.subtests[0].name) == ("walk", Result.LOST, "small")
    assert not found.complete


def test_lost_lines_are_missing_numbers() -> None:
    found = parse(b"1..4\nok 1 a\nok 4 d\n")
    assert found.top.missing == (2, 3)
    assert not found.complete


def test_without_a_plan_nothing_is_complete() -> None:
    assert not parse(b"ok 1 a\n").complete
    assert parse(b"").top.result is Result.LOST


def test_a_plan_at_the_end_counts() -> None:
    assert parse(b"ok 1 a\nok 2 b\n1..2\n").complete


def test_bail_out_says_why() -> None:
    found = parse(b"1..2\nok 1 a\nBail out! no memory\n")
    assert found.bailed == "no memory"
    assert not found.complete


def test_a_todo_is_no_failure() -> None:
    assert parse(b"not ok 1 a # TODO later\n").top.subtests[0].result is Result.EXPECTED


def test_ltp_of_both_libraries() -> None:
    found = parse_ltp(
        b"tst_test.c:1558: TINFO: Timeout per run is 0h 01m 30s\n"
        b"move_pages12.c:291: TPASS: Bug not reproduced\n"
        b"move_pages12.c:200: TFAIL: move_pages failed: ENOMEM (12)\n"
        b"mmap1       1  TBROK  :  mmap1.c:12: no\n\nSummary:\npassed   1\nfailed   1\nbroken   0\n"
        b"skipped  0\nwarnings 0\n"
    )
    assert [kind for _, kind, _ in found.results] == ["TPASS", "TFAIL", "TBROK"]
    assert found.results[0] == ("move_pages12.c:291", "TPASS", "Bug not reproduced")
    assert found.summary["failed"] == 1
    assert found.complete
    assert not parse_ltp(b"a.c:1: TPASS: x\n").complete


@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_part_of_a_log_can_be_read(data) -> None:
    start = data.draw(st.integers(0, len(KUNIT)))
    end = data.draw(st.integers(start, len(KUNIT)))
    parse(KUNIT[start:end])


NESTED = (
    b"KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n"
    b"    ok 1 a\n    ok 2 b\n"
)


def test_what_precedes_the_version_line_precedes_all_lines() -> None:
    for before in (b" ", b"kunit: ", b"board-7 12: "):
        lines = [*NESTED.splitlines(), b"ok 1 s"]
        found = parse(b"".join(before + line + b"\n" for line in lines))
        assert found.complete
        assert [case.name for case in found.top.subtests[0].subtests] == ["a", "b"]


def test_a_suite_without_its_result_is_not_complete() -> None:
    found = parse(NESTED)
    assert found.top.subtests[0].result is Result.LOST
    assert not found.complete
    assert parse(NESTED + b"ok 1 s\n").complete


def test_a_panic_behind_the_name_of_a_suite_keeps_the_name() -> None:
    found = parse(b"KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\nKernel panic\n")
    (suite,) = found.top.subtests
    assert (suite.name, suite.result) == ("s", Result.LOST)
