# SPDX-License-Identifier: GPL-2.0-only
"""What steering costs and what it brings: the director, steered runs, replays.

    python -m tests.bench.bench_steering [director|runs|replays|hunts] [COUNT] [RACE...]

Through the command line as a user has it, on Debian's 6.1 with the bugs put back and with the
fixes on top; kernels come from the user's own home. Needs an idle machine.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from mmrace.definitions.race import load_race
from mmrace.definitions.window import Window
from mmrace.home import Home
from mmrace.judging import channel
from mmrace.runs import kernels
from mmrace.runs.cell import run_cell
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.runs.record import RunDir
from mmrace.windows.plan import make_plan

TREE = ("--tree", "debian:6.1")
VULNERABLE = ("--series", "vulnerable")
FIXED = (*VULNERABLE, "--series", "fixes")
# The workload of each race that its windows help most.
STEERED = {
    "exec-stack-migration": "exec-storm",
    "hugetlb-anon-migration": "move-share",
    "hugetlb-uffd": "missing-by-migration",
    "khugepaged-retract": "collapse-punch",
}
# Both points are in every kernel, and no healthy one comes there.
WORK_SECONDS = 10
NEVER = Window(name="never", hold="entry of panic", until="return of panic")


def main(words: Sequence[str] = ()) -> None:
    """Run the parts that are named, or all but the hunts."""
    count = next((int(word) for word in words if word.isdigit()), 10)
    races = [word for word in words if word in STEERED] or list(STEERED)
    parts = {
        "director": lambda: _director(count),
        "runs": lambda: _runs(count, races),
        "replays": lambda: _replays(count, races),
        "hunts": lambda: _hunts(count, races),
    }
    if unknown := [word for word in words if not (word.isdigit() or word in {*parts, *STEERED})]:
        raise SystemExit(f"neither a part nor a race: {', '.join(unknown)}")
    chosen = [word for word in words if word in parts] or ["director", "runs", "replays"]
    load = os.getloadavg()[0]
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} CPUs, {platform.machine()}, load {load:.1f}"
    )
    for part in chosen:
        parts[part]()


def _director(count: int) -> None:
    """The same boot and workload with and without a director that never matches, in turns."""
    home = Home.from_environment(os.environ)
    planner = Planner(home, _quiet)
    race = load_race("khugepaged-retract")
    built = kernels.build(home, TREE[1], FIXED[1::2], (), _quiet)
    options = RunOptions(
        accel="tcg", seconds=WORK_SECONDS, at_most=WORK_SECONDS, seed=1, steer=False
    )
    resolver = built.resolver()
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for _ in range(count):
        for loaded in (True, False):
            cell = planner.plan(built, race, race.workload[0], options)
            if loaded:
                cell = cell.model_copy(update={"plan": make_plan([NEVER], resolver, 1)})
            found[loaded].append(_measured(run_cell(home, cell, lambda _text: None)))
    starts, collapses = (
        [statistics.median(one[number] for one in found[which]) for which in (False, True)]
        for number in (0, 1)
    )
    # To a boot and as many collapses as there are without a director.
    wholes = [starts[0] + WORK_SECONDS, starts[1] + WORK_SECONDS * collapses[0] / collapses[1]]
    for name, (plain, loaded) in {
        "seconds to the workload's start": starts,
        f"collapses in {WORK_SECONDS} s": collapses,
        "seconds to the same number of collapses": wholes,
    }.items():
        print(f"{name}: {plain:.2f} without, {loaded:.2f} with, {loaded / plain - 1:+.1%}")


def _measured(run: RunDir) -> tuple[float, float]:
    parsed = channel.parse(run.channel())
    started = channel.second_of(run.times("channel"), parsed.started or 0)
    return started or 0.0, float(parsed.counters["collapses"])


@contextmanager
def _quiet(_title: str) -> Iterator[Callable[[str], None]]:
    yield lambda _text: None


def _runs(count: int, races: Sequence[str]) -> None:
    """Median time to failure of steered runs, from the workload's start."""
    for race in races:
        workload = STEERED[race]
        found = _mmrace(
            "run", "--race", race, "--workload", workload, *TREE, *VULNERABLE,
            "--for", "60s", "--runs", str(count), "--steer",
        )["runs"]  # fmt: skip
        seconds = [run["seconds_to_failure"] for run in found if run["signature_matched"]]
        median = f"{statistics.median(seconds):.1f} s" if seconds else "-"
        print(
            f"{race}/{workload}: {len(seconds)} of {len(found)} failed, median {median},"
            f" longest {max(seconds, default=0):.1f} s"
        )
        windows = [window for run in found for window in run["windows"]]
        for name in dict.fromkeys(window["name"] for window in windows):
            met = [window["met"] for window in windows if window["name"] == name]
            print(f"  {name}: met in {sum(map(bool, met))} runs, {sum(met)} times")


def _replays(count: int, races: Sequence[str]) -> None:
    """How often witnesses fail on the vulnerable kernel, and how far they get on the fixed one."""
    for race in races:
        path = f"harness/races/{race}/witness.toml"
        for name, series, times in (("vulnerable", VULNERABLE, count), ("fixed", FIXED, 3 * count)):
            facts = _mmrace("replay", path, *TREE, *series, "--times", str(times))
            counts = ", ".join(
                f"{facts[word]} {word}"
                for word in ("failed", "shown", "reached", "complete", "infeasible")
            )
            print(
                f"{race} {name}: of {facts['replays']} {counts}, {len(facts['foreign'])} otherwise;"
                f" median {facts['seconds_median']:.2f} s, longest {facts['seconds_longest']:.2f} s"
            )


def _hunts(count: int, races: Sequence[str]) -> None:
    """What hunts of ten minutes find from function names alone."""
    with TemporaryDirectory() as folder:
        for race in races:
            for number in range(count):
                facts = _mmrace(
                    "hunt", "--race", race, *TREE, *VULNERABLE, "--seed", str(number + 1),
                    "--for", "10m", "--out", f"{folder}/{race}-{number}.toml",
                )  # fmt: skip
                tried = facts["tried"]
                print(
                    f"{race}, seed {number + 1}: a witness of {facts['steps'] or 'no'} steps,"
                    f" {'' if facts['proven'] else 'not '}proven, {tried['schedules']} schedules,"
                    f" {tried['seconds']:.0f} s; {facts['failed']} of {facts['replays']} replays"
                    f" failed, {facts['failed_unheld']} machines without the order"
                )


def _mmrace(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "mmrace", "--json", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(f"mmrace {' '.join(words)}: exit code {done.returncode}")
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


if __name__ == "__main__":
    main(sys.argv[1:])
