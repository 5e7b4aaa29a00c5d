# SPDX-License-Identifier: GPL-2.0-only
"""Pictures for the report: matplotlib's, as SVG that is put into a page and follows its colours."""

import io
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from mmrace.lazy import Lazy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

matplotlib = Lazy("matplotlib")
figures = Lazy("matplotlib.figure")
backend = Lazy("matplotlib.backends.backend_svg")

_BLACK = re.compile(r"#000000\b|\bblack\b")
_NAMED = re.compile(r'(\bid="|url\(#|href="#)')


def look() -> AbstractContextManager[None]:
    """One look for all that is drawn within; text stays text, equal pictures are equal bytes."""
    context: AbstractContextManager[None] = matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "text.parse_math": False,
            "svg.hashsalt": "mmrace",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )
    return context


def figure(width: float, height: float) -> "Figure":
    """Make an empty figure of that many inches."""
    made: Figure = figures.Figure(figsize=(width, height), layout="constrained")
    backend.FigureCanvasSVG(made)
    return made


def svg(made: "Figure", name: str, caption: str) -> Markup:
    """Return the figure as SVG for a page.

    ``name``: prefix of its ids, unique on the page. ``caption``: text for screen readers.
    """
    raw = io.StringIO()
    made.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = raw.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _NAMED.sub(rf"\g<1>{name}-", _BLACK.sub("currentColor", text))
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    return Markup(text)  # noqa: S704
