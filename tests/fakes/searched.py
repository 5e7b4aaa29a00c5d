# SPDX-License-Identifier: GPL-2.0-only
"""What tests of the search make up: counts, pairs, recorded steps, boots that ended."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from mmrace.executors.executor import Runs, UnderWay
from mmrace.runs.record import RunDir
from mmrace.searching.boots import Boot
from mmrace.symbols.accesses import AccessSite
from mmrace.windows.search import Counts, LogStep, Pair, Searched, StepKind, Strategy

COUNTS = Counts(10, 2, 0, 0, 4, (2, 2, 0), 5, 1, 1, 1, 0, 0.5, 1, 3)
NEAR = Pair(1, 2, 3, (True, False), 0.001, 64)
FAR = Pair(2, 1, 1, (False, True), 0.1, 64)
NO_RUN = RunDir(Path("none"))
SITES = (AccessSite(1, "f", 2), AccessSite(2, "g", 3), AccessSite(9, "h", 10))


def searched(*pairs: Pair, log: tuple[LogStep, ...] = (), **counts: int) -> Searched:
    return Searched(replace(COUNTS, **counts), pairs, log)


def step(
    time: float, vcpu: int, kind: StepKind, address: int = 0, schedule: int = 1, count: int = 1
) -> LogStep:
    return LogStep(time, schedule, vcpu, kind, address, count, 64, Strategy.MEET)


def ended(boot: Boot) -> UnderWay[Boot]:
    future: Future[Runs] = Future()
    future.set_result((boot.run,))
    return UnderWay(future, lambda: boot)
