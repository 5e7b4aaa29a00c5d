# SPDX-License-Identifier: GPL-2.0-only
"""Lines of text as a terminal shows them."""

import textwrap

from rich.console import Console


def wrap_text(text: str, console: Console) -> str:
    """Break a long line between words where a terminal would break one; a path stays whole.

    A log or a pipe gets the line as it is.
    """
    if not console.is_terminal:
        return text
    lines = (
        textwrap.wrap(
            line,
            console.width,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )
    return "\n".join("\n".join(parts) for parts in lines)
