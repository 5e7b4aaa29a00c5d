# SPDX-License-Identifier: GPL-2.0-only
"""Crashes of all runs by what they are, and a race's rate over time: a database of what is on disk.

It holds nothing of its own: each use adds what the run directories have and it lacks, and a file
that is damaged or of another version is made again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.runs.record import RunDir, all_runs

_VERSION = 1
_SCHEMA = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, day TEXT, race TEXT, workload TEXT, tree TEXT, release TEXT, series TEXT,
    kernel TEXT, outcome TEXT, matched INTEGER, seconds REAL
);
CREATE TABLE crash (
    run TEXT REFERENCES run(id) ON DELETE CASCADE, kind TEXT, title TEXT, function TEXT,
    corrupted INTEGER
);
CREATE INDEX crash_title ON crash(kind, title);
"""


@dataclass(frozen=True)
class Group:
    """Crashes of one kind and title; ``races`` and ``releases`` are where they were seen."""

    kind: str
    title: str
    crashes: int
    runs: int
    races: tuple[str, ...]
    releases: tuple[str, ...]
    first: str
    last: str


@dataclass(frozen=True)
class Rate:
    """What the runs of one race showed on one day on one kernel; ``day`` is YYYY-MM-DD, UTC."""

    day: str
    workload: str
    release: str
    series: str
    kernel: str
    runs: int
    failed: int
    matched: int
    seconds: float


@contextmanager
def database(home: Home, *, anew: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the database, brought up to date; ``anew`` reads all run directories again."""
    path = home.data / "history.sqlite"
    with home.lock("history"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if anew or not _sound(path):
            path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                connection.executescript(f"{_SCHEMA} PRAGMA user_version = {_VERSION};")
            with connection:
                _update(connection, home)
            yield connection


def groups(connection: sqlite3.Connection, race: str | None = None) -> tuple[Group, ...]:
    """All groups of crashes, or those that a race has seen, the most frequent first."""
    rows = connection.execute(
        """SELECT kind, title, count(*), count(DISTINCT run), group_concat(DISTINCT race),
                  group_concat(DISTINCT release), min(run), max(run)
           FROM crash JOIN run ON run.id = crash.run
           GROUP BY kind, title ORDER BY count(DISTINCT run) DESC, title"""
    )
    found = (
        Group(kind, title, crashes, runs, _split(races), _split(releases), first, last)
        for kind, title, crashes, runs, races, releases, first, last in rows
    )
    return tuple(one for one in found if not race or race in one.races)


def history(connection: sqlite3.Connection, race: str) -> tuple[Rate, ...]:
    """Rates of one race, oldest first; runs that say nothing (INFRA) do not count."""
    rows = connection.execute(
        """SELECT day, workload, release, series, kernel, count(*),
                  sum(outcome IN ('CRASH', 'FAIL', 'HANG')), sum(matched), sum(seconds)
           FROM run WHERE race = ? AND outcome != 'INFRA'
           GROUP BY day, workload, kernel, series ORDER BY min(id)""",
        (race,),
    )
    return tuple(Rate(*row) for row in rows)


def _split(joined: str) -> tuple[str, ...]:
    return tuple(sorted(joined.split(",")))


def _sound(path: Path) -> bool:
    """Whether a file is a database of this version (or none yet)."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            checked = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            return version in (0, _VERSION) and checked == "ok"
    except sqlite3.DatabaseError:
        return False


def _update(connection: sqlite3.Connection, home: Home) -> None:
    known = {row[0] for row in connection.execute("SELECT id FROM run")}
    there = {run.id: run for run in all_runs(home)}
    for gone in known - there.keys():
        connection.execute("DELETE FROM run WHERE id = ?", (gone,))
    for name in sorted(there.keys() - known):
        try:
            _add(connection, there[name])
        except UserError:
            continue  # a directory that is no run of mmrace


def _add(connection: sqlite3.Connection, run: RunDir) -> None:
    spec, judged = run.spec(), run.judgement()
    day = f"{run.id[:4]}-{run.id[4:6]}-{run.id[6:8]}"
    connection.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run.id, day, spec.race.name, spec.workload.name, spec.tree, spec.release,
         "+".join(spec.series), spec.kernel_id, str(judged.outcome), judged.signature_matched,
         run.vm().seconds),
    )  # fmt: skip
    connection.executemany(
        "INSERT INTO crash VALUES (?, ?, ?, ?, ?)",
        [
            (run.id, item.kind.value, item.title, item.function, item.corrupted is not None)
            for item in run.crashes()
        ],
    )
