# SPDX-License-Identifier: GPL-2.0-only
"""How fast a console is read: ``python tests/bench/bench_crash.py [MEGABYTES]``.

Three logs, fed in parts of 64 KiB: nothing but crashes (recorded reports over and over, each time
with other clocks and addresses), nothing but noise (a boot, other words each time), and lines made
to take long. Says seconds of CPU (user and system) per 100 MB, crashes, and peak memory.
"""

import re
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import golden_console
from mmrace.crash import Parser, parse

PART = 65536
_CLOCK = re.compile(rb"^\[ *\d+\.", re.MULTILINE)
_ADDRESS = re.compile(rb"\b(ffff[0-9a-f]{4})[0-9a-f]{8}\b")
HOSTILE = (
    b"BUG: " + b"a" * 4000,
    b"BUG: KASAN: " + b"a " * 2000,
    b"WARNING: [" + b"] at " * 800,
    b"WARNING: CPU: 1 PID: 1 at " + b"x:1 " * 1000,
    b"INFO: task " + b":1 blocked " * 360,
    b"[    1.000000] " * 260,
    b"general protection fault" + b", x 0x1" * 500,
    b"Oops: " + b"a - " * 1000,
    b"=" * 4000,
    b" ? " * 1300 + b"f+0x",
    b"[<" * 2000,
    b"(((" * 1300 + b"f+0x1/0x2",
    b"> " * 2000 + b"BUG: KASAN: x in f",
    b"1a 1a " * 16 + b"BUG: unable to handle page fault",
    b"page:" * 800,
    b"[ T1] " * 600,
    b"Call Trace:",
    b"at: " * 1000,
    b"_" * 4000 + b"+0x1/0x2",
    b"unable to handle " * 230,
    b"Internal error: " * 250 + b"[#",
    b"RIP: " * 800,
    b"f f/a.c:1 " * 400,
)


def crashes() -> bytes:
    """All reports of the recorded consoles."""
    logs = golden_console.all_logs()
    consoles = [log.console for log in logs if log.path.parent.name != "distorted"]
    return b"".join(
        console[item.start : item.end] for console in consoles for item in parse(console)
    )


def noise() -> bytes:
    """Recorded consoles without their reports."""
    kept = []
    for golden in golden_console.recorded():
        position = 0
        for item in parse(golden.console):
            kept.append(golden.console[position : item.start])
            position = item.end
    return b"".join(kept)


def hostile() -> bytes:
    """Lines that a careless pattern reads again and again, in and out of reports."""
    head = b"BUG: KASAN: use-after-free in f+0x1/0x2\nCall Trace:\n f+0x1/0x2\n"
    return b"".join(line + b"\n" + head + line + b"\n" for line in HOSTILE)


def rounds(text: bytes) -> Iterator[bytes]:
    """Yield a log again and again; clocks and addresses go on."""
    number = 0
    while True:
        number += 1
        clock = b"[%5d." % (number % 99999)
        changed = _CLOCK.sub(clock, text)
        yield _ADDRESS.sub(lambda match, low=b"%08x" % (number * 64): match[1] + low, changed)


def measure(name: str, make: Callable[[], bytes], megabytes: int, limit: float) -> bool:
    """Measure one log; whether 100 MB of it took no longer than ``limit`` seconds of CPU."""
    logs = rounds(make())
    parser, fed, found, busy = Parser(), 0, 0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while fed < megabytes * 1_000_000:
        log = next(logs)
        began = _cpu()
        for start in range(0, len(log), PART):
            found += len(parser.feed(log[start : start + PART]))
        busy += _cpu() - began
        fed += len(log)
    found += len(parser.finish())
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    took = busy * 100e6 / fed
    print(f"{name}: {took:.1f} s of CPU for 100 MB, {found:,} crashes, {more:.0f} MB more memory")
    return took <= limit


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure; 1 when it was too slow."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    done = [
        measure("nothing but crashes", crashes, megabytes, 10),
        measure("nothing but noise", noise, megabytes, 2),
        measure("hostile lines", hostile, max(1, megabytes // 5), 20),
    ]
    return int(not all(done))


if __name__ == "__main__":
    sys.exit(main())
