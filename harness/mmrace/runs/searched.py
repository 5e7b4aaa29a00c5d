# SPDX-License-Identifier: GPL-2.0-only
"""The record of a search's boot in its run directory: ``search.json``."""

import json
from dataclasses import asdict
from pathlib import Path

from mmrace.errors import InfraError
from mmrace.home import write_file
from mmrace.runs.record import RunDir
from mmrace.windows.director import Director
from mmrace.windows.search import Counts, LogStep, Pair, Searched, StepKind, Strategy

_FILE = "search.json"


def write_searched(folder: Path, director: Director, *, failed: bool) -> None:
    """Store what a director saw and did; the log of schedules only if the run failed.

    Only the schedules before a failure are ever examined, and a log may have 32,768 steps.
    """
    searched = director.searched()
    content = {
        **asdict(searched.counts),
        "armed": director.armed_seconds,
        "seen": [
            [f"{one.first:#x}", f"{one.second:#x}", one.count, *one.stores, one.gap, one.word,
             one.schedule]
            for one in searched.pairs
        ],
        "log": [
            [one.time, one.schedule, one.vcpu, one.kind, one.address, one.count, one.word,
             one.strategy]
            for one in (searched.log if failed else ())
        ],
    }  # fmt: skip
    write_file(folder / _FILE, json.dumps(content) + "\n")


def read_searched(run: RunDir) -> tuple[Searched, float]:
    """Return what a search saw and did in its boot, and the seconds for which it was armed.

    Raises InfraError for a run that no search made, or one of another version.
    """
    try:
        content = json.loads((run.folder / _FILE).read_bytes())
        armed, seen, log = (content.pop(name) for name in ("armed", "seen", "log"))
        by = content.pop("by_strategy")
        searched = Searched(
            Counts(**content, by_strategy=(by[0], by[1], by[2])),
            tuple(_pair(*fields) for fields in seen),
            tuple(_step(*fields) for fields in log),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfraError(f"{run.folder / _FILE}: no record of a search: {error}") from error
    return searched, float(armed)


def _pair(
    first: str, second: str, count: int, one: bool, other: bool, gap: float, word: int, since: int
) -> Pair:
    return Pair(int(first, 16), int(second, 16), count, (one, other), gap, word, since)


def _step(
    time: float, schedule: int, vcpu: int, kind: int, address: int, count: int, word: int, by: int
) -> LogStep:
    return LogStep(time, schedule, vcpu, StepKind(kind), address, count, word, Strategy(by))
