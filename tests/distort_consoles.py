# SPDX-License-Identifier: GPL-2.0-only
"""Distorted consoles out of recorded ones: ``python tests/distort_consoles.py``.

Each recorded log of ``tests/golden/console`` that has a crash is cut to its surroundings and
damaged in the ways that serial lines, terminals and loggers damage it. Run
``golden_console.py --update`` behind it and look at the difference.
"""

import random
import re
from collections.abc import Callable
from pathlib import Path

import golden_console
from mmrace import crash

FOLDER = golden_console.FOLDER / "distorted"
_STAMP = re.compile(rb"^\[ *(\d+\.\d+)\] ", re.MULTILINE)
_AROUND = 2500  # bytes of boot log kept on either side


def excerpt(console: bytes) -> bytes:
    """Bytes around the first crash after boot."""
    found = crash.parse(console)
    first = next((item for item in found if item.kind is not crash.Kind.WARNING), found[0])
    start = console.rfind(b"\n", 0, max(0, first.start - _AROUND)) + 1
    end = console.find(b"\n", min(len(console) - 1, first.end + 300)) + 1
    return console[start : end or len(console)].replace(b"\r", b"")


def half(console: bytes) -> bytes:
    """Cut off in the middle of a line, in the middle of the report."""
    (first, *_) = crash.parse(console)
    return console[: first.start + (first.end - first.start) // 2 + 7]


def header_only(console: bytes) -> bytes:
    """Cut off behind the header's line."""
    (first, *_) = crash.parse(console)
    lines = console[first.start :].split(b"\n")
    size = next(n for n in range(1, len(lines)) if crash.parse(b"\n".join(lines[:n]) + b"\n"))
    return console[: first.start] + b"\n".join(lines[:size]) + b"\n"


def zeros(console: bytes) -> bytes:
    """A UART that was reset."""
    return console.replace(b"\n", b"\r\n").replace(b" ", b" \0", 40)


def colours(console: bytes) -> bytes:
    """A terminal's attributes around each line."""
    return b"".join(b"\x1b[33m" + line + b"\x1b[0m\r\n" for line in console.splitlines())


def bare(console: bytes) -> bytes:
    """printk.time=0."""
    return _STAMP.sub(b"", console)


def syslog(console: bytes) -> bytes:
    """What a syslog daemon writes in front."""
    return b"".join(
        b"Nov 21 01:02:03 guest kernel: " + line + b"\n" for line in console.splitlines()
    )


def levels(console: bytes) -> bytes:
    """dmesg --raw."""
    return b"".join(b"<4>" + line + b"\n" for line in console.splitlines())


def callers(console: bytes) -> bytes:
    """PRINTK_CALLER."""
    return _STAMP.sub(rb"[ \g<1>][   T42] ", console)


def interleaved(console: bytes) -> bytes:
    """PRINTK_CALLER, and another CPU that prints between all lines."""
    other = b"[    9.999999][    C1] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n"
    return b"".join(line + b"\n" + other for line in callers(console).splitlines())


def programs(console: bytes) -> bytes:
    """A workload that writes to the same console, mostly between lines."""
    chance = random.Random(7)  # noqa: S311
    out = []
    for line in console.splitlines():
        out.append(line)
        if chance.random() < 0.15:
            out.append(b"worker %d: iteration done" % chance.randrange(9))
    return b"\n".join(out) + b"\n"


def glued(console: bytes) -> bytes:
    """A workload's unfinished line in front of the report."""
    (first, *_) = crash.parse(console)
    return console[: first.start] + b"guest login: " + console[first.start :]


def lost(console: bytes) -> bytes:
    """Each seventh line is missing, as when printk's buffer overflowed."""
    return b"\n".join(line for n, line in enumerate(console.splitlines()) if n % 7 != 3) + b"\n"


def dropped(console: bytes) -> bytes:
    """Bytes are missing here and there."""
    chance = random.Random(3)  # noqa: S311
    return bytes(byte for byte in console if byte == 10 or chance.random() > 0.004)


def dated(console: bytes) -> bytes:
    """A log writer that puts date and time in front."""
    return b"".join(b"2026/11/21 01:02:03 " + line + b"\n" for line in console.splitlines())


def wrapped(console: bytes) -> bytes:
    """Captured from a terminal of 80 columns."""
    lines = console.splitlines()
    rows = [line[at : at + 80] for line in lines for at in range(0, max(1, len(line)), 80)]
    return b"\r\n".join(rows) + b"\r\n"


def twice(console: bytes) -> bytes:
    """The guest was started again on the same log."""
    return console + b"SeaBIOS (version 1.16.2)\n" * 60 + console


DISTORTIONS: tuple[Callable[[bytes], bytes], ...] = (
    half, header_only, zeros, colours, bare, syslog, levels, callers, interleaved, programs, glued,
    lost, dropped, dated, wrapped, twice,
)  # fmt: skip


def main(folder: Path = FOLDER) -> None:
    """Write all of them."""
    folder.mkdir(exist_ok=True)
    for golden in golden_console.recorded():
        if not crash.parse(golden.console):
            continue
        short = excerpt(golden.console)
        for distort in DISTORTIONS:
            name = f"{golden.path.stem}.{distort.__name__.replace('_', '-')}.log"
            (folder / name).write_bytes(distort(short))


if __name__ == "__main__":
    main()
