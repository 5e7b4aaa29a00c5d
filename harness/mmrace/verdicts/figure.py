# SPDX-License-Identifier: GPL-2.0-only
"""Pictures for the report: matplotlib's, as SVG that stands in a page and follows its colours."""

import io
import re
from contextlib import AbstractContextManager

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_BLACK = re.compile(r"#000000\b|\bblack\b")
_NAMED = re.compile(r'(\bid="|url\(#|href="#)')


def look() -> AbstractContextManager[None]:
    """One look for all that is drawn within; text stays text, equal pictures are equal bytes."""
    return mpl.rc_context(
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


def figure(width: float, height: float) -> Figure:
    """Make an empty figure of that many inches."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(made)
    return made


def svg(made: Figure, name: str, says: str) -> Markup:
    """Return it for a page: ``name`` is unlike any other picture's there, ``says`` is for ears."""
    raw = io.StringIO()
    made.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = raw.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _NAMED.sub(rf"\g<1>{name}-", _BLACK.sub("currentColor", text))
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(says)}" ', 1)
    return Markup(text)  # noqa: S704
