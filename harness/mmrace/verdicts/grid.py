# SPDX-License-Identifier: GPL-2.0-only
"""Races on trees with series as one table, each cell an outcome or a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mmrace.definitions.race import Race
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
    """One race in one column: a word, what more there is to say, an exit code, the runs.

    ``attack``: the JSON document of the attack, None where none was made.
    """

    race: str
    column: Column
    word: str
    detail: str
    code: int
    runs: tuple[RunDir, ...] = ()
    attack: Mapping[str, Any] | None = None

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
            **({"attack": self.attack} if compared else {}),
        }


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
