# SPDX-License-Identifier: GPL-2.0-only
"""Run every benchmark of ``make bench``; the exit code is 1 when a console is read too slowly."""

import sys

from tests.bench import bench_build, bench_crash, bench_steering

if __name__ == "__main__":
    slow = bench_crash.main()
    bench_build.main()
    bench_steering.main()
    sys.exit(slow)
