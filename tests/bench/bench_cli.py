# SPDX-License-Identifier: GPL-2.0-only
"""How long the command line takes to answer: ``python -m tests.bench.bench_cli [RUNS]``.

``mmrace --help``, wanted in 0.3 s, and ``mmrace runs`` in a home of 2,000 runs, wanted in 1 s. The
best of five: what else the host does is not the command's. The exit code is 1 when one is slower.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_runs import made_run
from mmrace.home import Home

TIMES = 5
HELP, RUNS = 0.3, 1.0  # seconds


def best(words: list[str], top: Path) -> float:
    """Seconds of the fastest of some tries."""
    found = []
    for _ in range(TIMES):
        started = time.monotonic()
        argv = [sys.executable, "-m", "mmrace", *words]
        env = {**os.environ, "MMRACE_HOME": str(top)}
        subprocess.run(argv, check=True, capture_output=True, env=env)
        found.append(time.monotonic() - started)
    return min(found)


def main(count: int = 2000) -> int:
    """Measure both; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as name:
        top = Path(name)
        home = Home(top / "cache", top / "data")
        made = made_run(home.runs)
        for number in range(count - 1):
            folder = made.folder.with_name(f"{made.id}-{number:05}")
            shutil.copytree(made.folder, folder)
        helped, listed = best(["--help"], top), best(["runs"], top)
    print(f"mmrace --help: {helped:.2f} s (wanted: {HELP})")
    print(f"mmrace runs, {count:,} runs: {listed:.2f} s (wanted: {RUNS})")
    return int(helped > HELP or listed > RUNS)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
