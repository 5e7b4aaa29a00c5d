# SPDX-License-Identifier: GPL-2.0-only
"""Run every benchmark of ``make bench``."""

from tests.bench import bench_build

if __name__ == "__main__":
    bench_build.main()
