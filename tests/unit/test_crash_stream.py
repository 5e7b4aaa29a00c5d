# SPDX-License-Identifier: GPL-2.0-only
"""A log of any length: crashes come one by one, in order, and none is kept."""

import io
import itertools

from mmrace.crash import Parser, parse, parse_stream

REPORT = b"""\
[   10.000001] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   10.000002] Oops: 0000 [#1] PREEMPT SMP PTI
[   10.000003] RIP: 0010:toy_read+0x12/0x34
[   10.000004] Call Trace:
[   10.000005]  toy_caller+0x12/0x34
[   10.000006]  entry_SYSCALL_64_after_hwframe+0x63/0xcd
[   10.000007] ---[ end trace 0000000000000000 ]---
"""
NOISE = b"[   11.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n" * 2000


def test_a_stream_gives_what_parse_finds():
    log = REPORT + NOISE + REPORT + REPORT + NOISE
    assert tuple(parse_stream(io.BytesIO(log))) == parse(log)
    assert len(parse(log)) == 3


def test_a_crash_comes_before_the_log_has_ended_and_is_not_kept():
    parser = Parser()
    given = [len(parser.feed(REPORT + NOISE)) for _ in range(20)]
    assert sum(given) >= 19
    assert len(parser._crashes) <= 1


def test_callers_without_end_are_not_kept():
    parser = Parser()
    lines = (
        b"[    1.000000][ T%d] BUG: KASAN: use-after-free in f+0x1/0x2\n" % n for n in range(5000)
    )
    found = [item for line in lines for item in parser.feed(line)]
    assert len(parser._open) <= 64
    assert len(found) + len(parser.finish()) == 5000


def test_a_silent_caller_holds_nobody_up():
    parser = Parser()
    parser.feed(b"[    1.000000][    T1] BUG: KASAN: use-after-free in f+0x1/0x2\n")
    other = REPORT.replace(b"] ", b"][    T2] ", 7)
    for _ in itertools.repeat(None, 3000):
        parser.feed(other)
    assert len(parser._crashes) < 1500
