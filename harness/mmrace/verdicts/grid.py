# SPDX-License-Identifier: GPL-2.0-only
"""Races on trees with series as one table, each cell an outcome or a verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from markupsafe import Markup

from mmrace.definitions.race import Race
from mmrace.errors import BuildError, InfraError, MmraceError, UserError
from mmrace.runs.campaign import Built
from mmrace.runs.record import RunDir

NOTHING = "-"


@dataclass(frozen=True)
class Column:
    """A tree with series on top; ``before`` are those that ``series`` is compared with."""

    tree: str
    series: tuple[str, ...]
    before: tuple[str, ...] | None = None

    @property
    def title(self) -> str:
        """How people read it."""
        return f"{self.tree}\n{' + '.join(self.series) or 'as it is'}"


@dataclass(frozen=True)
class Cell:
    """One race in one column: a word, what more there is to say, an exit code, the runs."""

    race: str
    column: Column
    word: str
    detail: str
    code: int
    runs: tuple[RunDir, ...] = ()

    def as_json(self) -> dict[str, object]:
        """An element of ``cells``."""
        compared = self.column.before is not None
        return {
            "race": self.race,
            "tree": self.column.tree,
            "series": list(self.column.series),
            "before": list(self.column.before or ()) if compared else None,
            "verdict" if compared else "outcome": self.word,
            "detail": self.detail,
            "runs": [run.as_json() for run in self.runs],
        }


Wanted = tuple[str, tuple[str, ...], tuple[str, ...]]  # tree, series, a race's own config
BuiltFor = Callable[[tuple[str, ...]], Built]
Make = Callable[[Race, Column, BuiltFor], Cell]


def fill(
    races: Sequence[Race],
    columns: Sequence[Column],
    kernels: Mapping[Wanted, Built | MmraceError],
    make: Make,
    jobs: int,
) -> list[Cell]:
    """Make all cells, ``jobs`` at a time; one that cannot be made says why."""

    def cell(race: Race, column: Column) -> Cell:
        def built(series: tuple[str, ...]) -> Built:
            found = kernels[column.tree, series, race.own_config]
            if isinstance(found, MmraceError):
                raise found
            return found

        try:
            return make(race, column, built)
        except (BuildError, UserError, InfraError) as error:
            word = {4: "NOT_BUILT", 69: "INFRA"}.get(error.exit_code, NOTHING)
            return Cell(race.name, column, word, error.message, error.exit_code)

    with ThreadPoolExecutor(jobs) as pool:
        waiting: list[Future[Cell]] = [
            pool.submit(cell, race, column) for race in races for column in columns
        ]
        try:
            return [one.result() for one in waiting]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def worst(codes: Iterable[int]) -> int:
    """Exit code of all cells together."""
    found = set(codes)
    return next((code for code in (69, 4, 2, 1, 3) if code in found), 0)


def rows(
    races: Sequence[Race], columns: Sequence[Column], cells: Sequence[Cell]
) -> list[tuple[str, list[Cell]]]:
    """Return the cells of each race, in the order of the columns."""
    at = {(cell.race, cell.column): cell for cell in cells}
    return [(race.name, [at[race.name, column] for column in columns]) for race in races]


def html(races: Sequence[Race], columns: Sequence[Column], cells: Sequence[Cell]) -> str:
    """Render the table for a report."""
    head = Markup("").join(
        Markup('<th scope="col">{}<br>{}</th>').format(*column.title.split("\n"))
        for column in columns
    )
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name,
            Markup("").join(
                Markup('<td><span class="badge {0}">{0}</span><br>{1}</td>').format(
                    cell.word, cell.detail
                )
                for cell in row
            ),
        )
        for name, row in rows(races, columns, cells)
    )
    page = Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="Matrix"><table>'
        '<thead><tr><th scope="col">race</th>{}</tr></thead><tbody>{}</tbody></table></div>'
    )
    return str(page.format(head, body))
