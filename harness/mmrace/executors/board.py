# SPDX-License-Identifier: GPL-2.0-only
"""What is known of runs under way on a cluster, as its workers tell of them."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

BEGUN = "begun"


@dataclass(frozen=True)
class Row:
    """One worker: the run under way there (nothing when it waits), its state, runs that it ended.

    ``since``: on the clock of ``time.monotonic``.
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
    """Told by the event loop and by submitting threads, read by whoever shows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._groups: dict[str, _Group] = {}

    @contextmanager
    def group(self, cells: Iterable[str], title: str) -> Iterator[None]:
        """While this lasts, cells with these ids are under way, as one group."""
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

    def heard(self, event: Mapping[str, Any]) -> None:
        """Take in what a worker tells of a cell; of others' cells nothing is shown."""
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
        """A worker has sent so many runs."""
        with self._lock:
            row = self._row(worker)
            self._rows[worker] = Row(worker, ended=row.ended + runs)

    def begun(self, cell: str) -> tuple[str, ...]:
        """Workers that have begun a group, by its first cell, in order."""
        with self._lock:
            group = self._groups.get(cell)
            return tuple(group.begun) if group else ()

    def rows(self) -> tuple[Row, ...]:
        """All workers that were heard of, by name."""
        with self._lock:
            return tuple(self._rows[name] for name in sorted(self._rows))

    def _row(self, worker: str) -> Row:
        return self._rows.get(worker, Row(worker))
