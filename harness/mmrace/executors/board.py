# SPDX-License-Identifier: GPL-2.0-only
"""The state of runs under way on a cluster, as reported by its workers."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

BEGUN = "begun"


@dataclass(frozen=True)
class Row:
    """One worker: the title of its run ("" when idle), its state, and how many runs have ended.

    ``since`` is when the run began, on the clock of ``time.monotonic`` (seconds).
    """

    worker: str
    title: str = ""
    state: str = ""
    since: float = 0.0
    ended: int = 0


@dataclass
class _Group:
    title: str
    begun: list[str] = field(default_factory=list)


class Board:
    """Thread-safe table of workers: Dask's event loop and the submitting threads write it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._groups: dict[str, _Group] = {}

    @contextmanager
    def group(self, cells: Iterable[str], title: str) -> Iterator[None]:
        """Register cells with these ids as one group while the context lasts."""
        group = _Group(title)
        ids = tuple(cells)
        with self._lock:
            self._groups |= dict.fromkeys(ids, group)
        try:
            yield
        finally:
            with self._lock:
                for cell in ids:
                    self._groups.pop(cell, None)

    def record_event(self, event: Mapping[str, Any]) -> None:
        """Record a worker's event about a cell; ignore cells of other submitters."""
        with self._lock:
            group = self._groups.get(event["cell"])
            if not group:
                return
            worker, state = event["at"], event["state"]
            if state == BEGUN:
                group.begun.append(worker)
            since = time.monotonic() if state == BEGUN else self._row(worker).since
            self._rows[worker] = replace(
                self._row(worker), title=group.title, state=state, since=since
            )

    def ended(self, worker: str, runs: int) -> None:
        """Record that a worker has returned ``runs`` runs."""
        with self._lock:
            row = self._row(worker)
            self._rows[worker] = Row(worker, ended=row.ended + runs)

    def begun(self, cell: str) -> tuple[str, ...]:
        """Names of the workers that have begun the group with this first cell, in order."""
        with self._lock:
            group = self._groups.get(cell)
            return tuple(group.begun) if group else ()

    def rows(self) -> tuple[Row, ...]:
        """One row for each worker that has sent an event or runs, sorted by name."""
        with self._lock:
            return tuple(self._rows[name] for name in sorted(self._rows))

    def _row(self, worker: str) -> Row:
        return self._rows.get(worker, Row(worker))
