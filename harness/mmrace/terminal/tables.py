# SPDX-License-Identifier: GPL-2.0-only
"""Tables as the terminal shows them."""

from rich.table import Table as RichTable
from rich.text import Text

from mmrace.answers.answer import Table

# By a cell's first word. The terminal's own green and yellow cannot be read on white; these are of
# the fixed part of the 256-colour palette, with a contrast of 3.9 or more on black and on white.
STYLES = {
    **dict.fromkeys(("CRASH", "FAIL", "HANG", "NOT_FIXED", "MISSING", "WRONG"), "bold color(160)"),
    **dict.fromkeys(("PASS", "FIXED"), "color(28)"),
    **dict.fromkeys(("NOT_EXERCISED", "INFEASIBLE", "INFRA", "INCONCLUSIVE"), "color(130)"),
}
_NAME = 32  # columns of a name that is not folded


def rich_table(made: Table, width: int = 0) -> RichTable:
    """Return a plain table; cells are text, never markup; outcomes and verdicts have colours.

    Columns of a table that folds at ``width`` are one blank apart, else two; 0: no limit.
    """
    tight = not made.cut and 0 < width < _width(made)
    padding = (0, 1, 0, 0) if tight else (0, 1)
    shown = RichTable(box=None, pad_edge=False, padding=padding, header_style="bold")
    for number, column in enumerate(made.columns):
        whole = (
            number < len(made.columns) - 1
            if made.cut
            else number == 0 and _widest(made, 0) <= _NAME
        )
        head = Text(column, no_wrap=made.cut, overflow="ellipsis" if made.cut else "fold")
        shown.add_column(head, overflow="fold", no_wrap=whole)
    for row in made.rows:
        cells = list(map(_cell, row))
        # Only the last column is shortened to the terminal's width, at its end.
        cells[-1].no_wrap, cells[-1].overflow = made.cut, "ellipsis" if made.cut else "fold"
        shown.add_row(*cells)
    return shown


def _width(made: Table) -> int:
    return sum(_widest(made, number) + 2 for number in range(len(made.columns))) - 2


def _widest(made: Table, number: int) -> int:
    cells = (made.columns[number], *(row[number] for row in made.rows))
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _cell(text: str) -> Text:
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return Text(text, style=STYLES.get(word, ""))
