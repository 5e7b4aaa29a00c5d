# SPDX-License-Identifier: GPL-2.0-only
"""What holds of reading a console whatever the console is."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import golden_console
from crash_reports import all_cases
from mmrace.crash import Crash, Parser, parse

CASES = [case for case in all_cases() if case.kind]
GOLDEN = [golden.console for golden in golden_console.recorded()]
FAST = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
# What a boot, a fuzzer's programs and a shell print, and bytes of no meaning.
ORDINARY = (
    b"[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n",
    b"[    1.234568] EXT4-fs (sda): mounted filesystem with ordered data mode\r\n",
    b"executing program 1:\n",
    b"mmap(&(0x7f0000000000/0x1000)=nil, 0x1000, 0x3, 0x32, 0xffffffffffffffff, 0x0)\n",
    b"\x1b[0;32m  OK  \x1b[0m] Started Getty on tty1.\n",
    b"\n",
    b"root@host:~# echo 1\n",
    b"\x00\x00\x00\n",
    b"caf\xc3\xa9 \xff\xfe\n",
)
noise = st.lists(st.sampled_from(ORDINARY), max_size=30).map(b"".join)
cases = st.sampled_from(CASES)


def feed(parts: list[bytes]) -> tuple[Crash, ...]:
    parser = Parser()
    found = [item for part in parts for item in parser.feed(part)]
    return (*found, *parser.finish())


@FAST
@given(before=noise, case=cases, after=noise)
def test_a_report_is_found_in_any_log_around_it(before, case, after) -> None:
    found = parse(before + case.console + b"\n" + after)
    assert [(item.kind.name, item.function) for item in found] == [(case.kind, case.function)]
    assert found[0].start >= len(before)


@FAST
@given(data=st.data(), case=cases, before=noise)
def test_how_the_bytes_are_cut_makes_no_difference(data, case, before) -> None:
    log = before + case.console
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=12)))
    edges = [0, *cuts, len(log)]
    parts = [log[start:end] for start, end in pairwise(edges)]
    assert feed(parts) == parse(log)


@pytest.mark.parametrize("console", GOLDEN[:8], ids=range(len(GOLDEN[:8])))
def test_a_recorded_console_may_come_in_pieces(console: bytes) -> None:
    parts = [console[start : start + 77] for start in range(0, len(console), 77)]
    assert feed(parts) == parse(console)


@FAST
@given(data=st.data(), case=cases)
def test_any_prefix_and_any_suffix_can_be_read(data, case) -> None:
    length = len(case.console)
    start = data.draw(st.integers(0, length))
    end = data.draw(st.integers(start, length))
    for item in parse(case.console[start:end]):
        assert 0 <= item.start < item.end <= end - start
        assert item.title


@FAST
@given(st.binary(max_size=3000))
def test_bytes_without_meaning_are_no_crash_and_no_error(data) -> None:
    parse(data)


@FAST
@given(case=cases, after=noise)
def test_behind_its_end_a_report_is_not_found_again(case, after) -> None:
    log = case.console + b"\n" + after
    (item,) = parse(log)
    assert parse(log[item.end :]) == ()


@FAST
@given(case=cases, colour=st.booleans(), returns=st.booleans(), zeros=st.integers(0, 3))
def test_dressing_makes_no_difference(case, colour, returns, zeros) -> None:
    lines = case.console.rstrip(b"\n").split(b"\n")
    if colour:
        lines = [b"\x1b[1;31m" + line + b"\x1b[0m" for line in lines]
    end = b"\r\n" if returns else b"\n"
    dressed = end.join(b"\0" * zeros + line for line in lines) + end
    plain, worn = parse(case.console), parse(dressed)
    assert [strip(item) for item in worn] == [strip(item) for item in plain]


def strip(item: Crash) -> Crash:
    return replace(item, start=0, end=0)


@FAST
@given(first=cases, second=cases)
def test_a_first_and_a_later_report_are_told_apart(first, second) -> None:
    gap = b"[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n" * 60
    found = parse(first.console + b"\n" + gap + second.console)
    assert [item.kind.name for item in found] == [first.kind, second.kind]
    assert found[0].end <= found[1].start
