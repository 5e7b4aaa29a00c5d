# SPDX-License-Identifier: GPL-2.0-only
"""How many hunts prove a race from its workload alone, and in which time.

    python -m tests.bench.bench_hunt [COUNT] [RACE...]

On Debian's 6.1 with the bugs put back; kernels come from the user's own home. Each seed from 1 to
COUNT is one hunt of ten minutes at most. Needs an idle machine.
"""

import os
import statistics
import sys
import time
from collections.abc import Sequence

from mmrace.definitions.race import load_race
from mmrace.experiments.hunt import Hunted, hunt_race, summarise
from mmrace.experiments.session import Session
from mmrace.home import Home
from mmrace.progress import unseen
from mmrace.runs.options import RunOptions

from .bench_search import RACES, TREE, bugs

SECONDS = 600.0
HEADER = (
    "race, workload | seed | s | first failure, s | schedules | schedules/s | held | result"
    " | replays failed | guests without it"
)


def main(words: Sequence[str] = ()) -> None:
    """Print one row for each hunt, and how many of each race proved it."""
    count = next((int(word) for word in words if word.isdigit()), 10)
    races = [word for word in words if word in RACES] or list(RACES)
    session = Session(Home.from_environment(os.environ), unseen, lambda _text: None)
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} CPUs\n{HEADER}")
    for name in races:
        race = load_race(name)
        session.build(TREE, bugs(name), RunOptions(seconds=SECONDS), race)
        done = []
        for seed in range(1, count + 1):
            begun = time.monotonic()
            options = RunOptions(seconds=SECONDS, seed=seed)
            hunted = hunt_race(session, TREE, bugs(name), race, race.hunted_workload(), options)
            done.append(hunted)
            print(_row(hunted, time.monotonic() - begun), flush=True)
        print(_sum(name, done), flush=True)


def _row(hunted: Hunted, seconds: float) -> str:
    tried, proof = hunted.tried, hunted.proof
    count = len(proof.replays)
    first = "none" if hunted.first is None else f"{hunted.first:.1f}"
    return (
        f"{hunted.race.name}, {hunted.workload.name} | {hunted.seed} | {seconds:.0f} | {first}"
        f" | {tried.schedules} in {tried.boots} | {tried.schedules / tried.armed:.0f}"
        f" | {tried.held / tried.armed:.0%} | {summarise(hunted)}"
        f" | {proof.shown} of {count} | {proof.unheld} of {count}"
    )


def _sum(name: str, done: Sequence[Hunted]) -> str:
    """A hunt without a failure counts as one that failed at its end."""
    firsts = [SECONDS if one.first is None else one.first for one in done]
    proven, median = sum(one.proof.holds for one in done), statistics.median(firsts)
    return f"{name}: {proven} of {len(done)} proven, first failure after {median:.1f} s (median)"


if __name__ == "__main__":
    main(sys.argv[1:])
