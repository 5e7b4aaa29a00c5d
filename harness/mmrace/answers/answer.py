# SPDX-License-Identifier: GPL-2.0-only
"""A command's answer, for a program and for people; how it reaches them is the command line's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmrace.errors import MmraceError

if TYPE_CHECKING:  # what is on disk is listed without them: they take a second
    from mmrace.reports.report import Section
    from mmrace.runs.record import NotRun, RunDir


@dataclass(frozen=True)
class Table:
    """Rows under columns; a cell may have several lines.

    ``cut``: the last column ends at the terminal's width, so that a row is one line.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    cut: bool = False


Block = Table | str


@dataclass(frozen=True)
class Page:
    """The report that a command leaves of its runs."""

    title: str
    runs: Sequence[RunDir]
    not_run: Sequence[NotRun] = ()
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class Answer:
    """What a command found.

    ``document`` goes into JSON, ``text`` to people in its place, or beside it where the command ran
    guests, which people watch (``watched``); ``notes`` are printed with either. ``details``: a
    longer text, for users who ask for it. ``plain``: lines that another program reads, on standard
    output where no JSON is there. ``error``: what ended the command once it had found this; raised
    once all of it is printed.
    """

    document: Mapping[str, Any]
    text: Iterable[Block] = ()
    exit_code: int = 0
    notes: Sequence[str] = ()
    page: Page | None = None
    plain: Sequence[str] = ()
    details: Sequence[Block] = ()
    watched: bool = False
    error: MmraceError | None = None


def fields(pairs: Iterable[tuple[str, object]]) -> Table:
    """Return a table without a head: names, and what each is."""
    return Table(("", ""), [(name, str(value)) for name, value in pairs])
