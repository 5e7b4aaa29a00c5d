# SPDX-License-Identifier: GPL-2.0-only
"""A schedule in the HTML report: a column for each vCPU, a row for each step, time downwards."""

from collections.abc import Sequence

from markupsafe import Markup

from mmrace.searching.explanation import Line


def story(lines: Sequence[Line]) -> Markup:
    """Return the steps of a witness as a table, nothing for none."""
    if not lines:
        return Markup("")
    actors = list(dict.fromkeys(line.actor for line in lines))
    head = Markup("").join(Markup("<th>{}</th>").format(actor) for actor in actors)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td>{}</td>").format(line.words if actor == line.actor else "")
                for actor in actors
            )
        )
        for line in lines
    )
    return Markup('<table class="schedule"><tr>{}</tr>{}</table>').format(head, rows)


def facts(rows: Sequence[tuple[str, str]]) -> Markup:
    """Return names and what each is as a table."""
    body = (Markup("<tr><th>{}</th><td>{}</td></tr>").format(*row) for row in rows)
    return Markup("<table>{}</table>").format(Markup("").join(body))
