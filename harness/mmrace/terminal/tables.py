# SPDX-License-Identifier: GPL-2.0-only
"""Tables as the terminal shows them."""

from rich.table import Table as RichTable
from rich.text import Text

from mmrace.answers.answer import Table

# By a cell's first word.
_STYLE = {
    **dict.fromkeys(("CRASH", "FAIL", "HANG", "NOT_FIXED", "MISSING", "WRONG"), "bold red"),
    **dict.fromkeys(("PASS", "FIXED"), "green"),
    **dict.fromkeys(("NOT_EXERCISED", "INFEASIBLE", "INFRA", "INCONCLUSIVE"), "yellow"),
}


def rich_table(made: Table) -> RichTable:
    """Return a plain table; cells are text, never markup; outcomes and verdicts have colours."""
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in made.columns:
        last = column == made.columns[-1]
        head = Text(column, no_wrap=made.cut, overflow="ellipsis" if made.cut else "fold")
        shown.add_column(head, overflow="fold", no_wrap=made.cut and not last)
    for row in made.rows:
        cells = list(map(_cell, row))
        # Only the last column is shortened to the terminal's width, at its end.
        cells[-1].no_wrap, cells[-1].overflow = made.cut, "ellipsis" if made.cut else "fold"
        shown.add_row(*cells)
    return shown


def _cell(text: str) -> Text:
    word = text.split(maxsplit=1)[0] if text.strip() else ""
    return Text(text, style=_STYLE.get(word, ""))
