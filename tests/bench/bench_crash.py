# SPDX-License-Identifier: GPL-2.0-only
"""How fast a console is read: ``python tests/bench/bench_crash.py [MEGABYTES]``.

The log is recorded consoles over and over; fed in parts of 64 KiB. Says seconds and peak memory.
"""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import golden_console
from mmrace.crash import Parser

LIMIT = 10.0  # seconds for 100 MB


def main() -> int:
    """Measure; 1 when it was too slow."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    consoles = b"".join(golden.console for golden in golden_console.recorded())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parser, fed = Parser(), 0
    started, busy = time.monotonic(), time.process_time()
    while fed < megabytes * 1_000_000:
        for start in range(0, len(consoles), 65536):
            parser.feed(consoles[start : start + 65536])
        fed += len(consoles)
    found = len(parser.finish())
    busy = time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{fed / 1e6:.0f} MB: {busy:.1f} s of CPU ({time.monotonic() - started:.1f} s passed), "
        f"{found} crashes, {(after - before) / 1024:.0f} MB more memory"
    )
    return int(busy * 100e6 / fed > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
