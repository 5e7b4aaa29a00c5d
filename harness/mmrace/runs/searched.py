# SPDX-License-Identifier: GPL-2.0-only
"""The record of a search's boot in its run directory: its totals, and what was seen and done."""

import json
from dataclasses import asdict
from pathlib import Path

from mmrace.errors import InfraError
from mmrace.home import write_file
from mmrace.runs.record import RunDir
from mmrace.windows.director import Director
from mmrace.windows.search import Counts, LogStep, Pair, Searched, StepKind, Strategy

_COUNTS, _SEEN = "search.json", "search-log.json"


def write_counts(folder: Path, director: Director) -> None:
    """Write the totals of a director's search; a run is judged by them."""
    counts = director.searched().counts
    content = {**asdict(counts), "armed": director.armed_seconds}
    write_file(folder / _COUNTS, json.dumps(content) + "\n")


def write_seen(folder: Path, director: Director, *, failed: bool) -> None:
    """Write the pairs that a director's search saw, and the log of its schedules if the run failed.

    Only the schedules of failures are used, and a log may have 32,768 steps.
    """
    searched = director.searched()
    content = {
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
    write_file(folder / _SEEN, json.dumps(content) + "\n")


def was_scheduled(folder: Path) -> bool:
    """Whether vCPUs were held under a search's schedules in the run of a directory."""
    path = folder / _COUNTS
    return path.is_file() and json.loads(path.read_bytes())["holds"] > 0


def read_searched(run: RunDir) -> tuple[Searched, float]:
    """Return what a search saw and did in its boot, and for how many seconds it was armed.

    Raises InfraError for a run that no search made, or one of another version of mmrace.
    """
    try:
        counts = json.loads((run.folder / _COUNTS).read_bytes())
        seen = json.loads((run.folder / _SEEN).read_bytes())
        armed, by = counts.pop("armed"), counts.pop("by_strategy")
        searched = Searched(
            Counts(**counts, by_strategy=(by[0], by[1], by[2])),
            tuple(_pair(*fields) for fields in seen["seen"]),
            tuple(_step(*fields) for fields in seen["log"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfraError(f"{run.folder / _COUNTS}: no record of a search: {error}") from error
    return searched, float(armed)


def _pair(
    first: str, second: str, count: int, one: bool, other: bool, gap: float, word: int, since: int
) -> Pair:
    return Pair(int(first, 16), int(second, 16), count, (one, other), gap, word, since)


def _step(
    time: float, schedule: int, vcpu: int, kind: int, address: int, count: int, word: int, by: int
) -> LogStep:
    return LogStep(time, schedule, vcpu, StepKind(kind), address, count, word, Strategy(by))
