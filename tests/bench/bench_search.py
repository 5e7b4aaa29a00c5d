# SPDX-License-Identifier: GPL-2.0-only
"""How fast a search finds each race from its workload alone, beside the same boots unsteered.

    python -m tests.bench.bench_search [COUNT] [RACE...]

On Debian's 6.1 with the bugs put back; kernels come from the user's own home. Boots under schedules
and boots in which nobody is held take turns. Needs an idle machine.
"""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mmrace.definitions.race import load_race, race_dir
from mmrace.experiments.session import Session
from mmrace.home import Home
from mmrace.progress import unseen
from mmrace.runs.options import RunOptions
from mmrace.searching.boots import CellBoots
from mmrace.searching.ground import Ground, survey
from mmrace.searching.search import Search
from mmrace.windows.plan import Plan
from mmrace.windows.search import WATCH, SearchPlan, Site

TREE = "debian:6.1"
RACES = (
    "hugetlb-uffd",
    "khugepaged-retract",
    "exec-stack-migration",
    "hugetlb-anon-migration",
    "pagemap-thp-split",
)
SECONDS = 60.0  # of a boot in which nothing failed
HEADER = (
    "race, workload | steered: failed, median | not steered: failed, median | schedules/s | held"
)


@dataclass(frozen=True)
class Times:
    """Seconds of race phase to the first failure of each boot, or None."""

    found: tuple[float | None, ...]

    def __str__(self) -> str:
        """Failures and the median, a boot without one counting as longer than all."""
        failed = [one for one in self.found if one is not None]
        median = statistics.median(SECONDS if one is None else one for one in self.found)
        least = ">" if len(failed) * 2 <= len(self.found) else ""
        return f"{len(failed)} of {len(self.found)}, {least}{median:.1f} s"


def main(words: Sequence[str] = ()) -> None:
    """Print one row for each race."""
    count = next((int(word) for word in words if word.isdigit()), 6)
    races = [word for word in words if word in RACES] or list(RACES)
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(HEADER)
    session = Session(Home.from_environment(os.environ), unseen, lambda _text: None)
    for name in races:
        print(_row(session, name, count), flush=True)


def bugs(race: str) -> tuple[str, ...]:
    """The series that puts a race's bug back."""
    own = (race_dir(race) / "vulnerable").is_dir()
    return (f"vulnerable/{race}",) if own else ("vulnerable",)


def _row(session: Session, name: str, count: int) -> str:
    race = load_race(name)
    workload = race.hunted_workload()
    options = RunOptions(seconds=SECONDS, at_most=SECONDS, accel="tcg", steer=False, seed=1)
    built = session.build(TREE, bugs(name), options, race)
    boots = CellBoots(session.executor, session.planner.plan(built, race, workload, options))
    ground: Ground = survey(
        session.home, built.resolver(), built.kernel.id, f"{race.name}-{workload.name}"
    )
    search = Search(boots, ground.sites, ground.marks, ground.profile)
    if not ground.profile.pairs:
        search.watch().end()
        ground.keep(search.profile)
    steered, plain = [], []
    for seed in range(1, count + 1):
        boot = search.once(SECONDS).end()
        steered.append(boot.seconds if boot.failed else None)
        bare = boots(watch_nothing(), seed, SECONDS).end()
        plain.append(bare.seconds if bare.failed else None)
    tried = search.tried
    return (
        f"{name}, {workload.name} | {Times(tuple(steered))} | {Times(tuple(plain))}"
        f" | {tried.schedules / tried.armed:.0f} | {tried.held / tried.armed:.0%}"
    )


def watch_nothing() -> Plan:
    """A plan whose director sees one site that no race phase comes to."""
    return Plan(search=SearchPlan((Site(0, 0),), 1, WATCH))


if __name__ == "__main__":
    main(sys.argv[1:])
