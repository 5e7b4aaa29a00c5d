# SPDX-License-Identifier: GPL-2.0-only
"""A sync point as people write it: a place in kernel code, named by what survives versions.

::

    entry of FUNCTION [from CALLER]
    return of FUNCTION [from CALLER]
    before CALLEE [#N] in FUNCTION [from CALLER]
    after CALLEE [#N] in FUNCTION [from CALLER]
    line N of FUNCTION [from CALLER]
    anywhere in FUNCTION [from CALLER]
    at FUNCTION+OFFSET

CALLEE is called by, or inlined into, FUNCTION, which may itself be inlined elsewhere. Without
``#N`` all its occurrences are meant, with it the N-th in the order of source lines. Lines count
from 1 at the function's own. ``anywhere`` are its entry, its returns, and the places before each
call and each inlined copy in it. ``at`` names an instruction, as kernel reports do (``f+0x1c``): it
holds for one build, and is what a search writes where nothing better leads there. A FUNCTION that
several files define is written ``mm/rmap.c:FUNCTION``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from mmrace.errors import UserError

_NAME = r"[A-Za-z_]\w*"
_BODY = rf"(?:(?P<file>[\w./+-]+\.[chS]):)?(?P<function>{_NAME})(?:\s+from\s+(?P<caller>{_NAME}))?"
_EDGE = re.compile(rf"(?:entry|return)\s+of\s+{_BODY}")
_INNER = re.compile(
    rf"(?:before|after)\s+(?P<inner>{_NAME})(?:\s*#(?P<nth>[1-9]\d*))?\s+in\s+{_BODY}"
)
_LINE = re.compile(rf"line\s+(?P<nth>[1-9]\d*)\s+of\s+{_BODY}")
_ANYWHERE = re.compile(rf"anywhere\s+in\s+{_BODY}")
_AT = re.compile(rf"at\s+(?P<function>{_NAME}(?:\.\w+)*)(?P<offset>[+-]0x[0-9a-f]+)")
FORMS = (
    "`entry of F`, `return of F`, `before X in F`, `after X #2 in F`, `line 9 of F`,"
    " `anywhere in F`,"
    " each with `from CALLER`"
)


class Where(StrEnum):
    """Which place in a function, or beside a callee of it."""

    ENTRY = "entry"
    RETURN = "return"
    BEFORE = "before"
    AFTER = "after"
    LINE = "line"
    ANYWHERE = "anywhere"
    AT = "at"


@dataclass(frozen=True)
class Point:
    """One sync point; ``inner`` is the callee of ``before`` and ``after``, ``nth`` 0 for all.

    ``nth`` of ``line`` is the line, ``offset`` that of ``at`` in bytes.
    """

    where: Where
    function: str
    inner: str = ""
    nth: int = 0
    caller: str = ""
    file: str = ""
    offset: int = 0

    def __str__(self) -> str:
        """Write the point as it is read."""
        place = f"{self.file}:{self.function}" if self.file else self.function
        tail = f" from {self.caller}" if self.caller else ""
        if self.where is Where.AT:
            return f"{self.where} {place}{self.offset:+#x}"
        if self.where is Where.LINE:
            return f"{self.where} {self.nth} of {place}{tail}"
        if self.where is Where.ANYWHERE:
            return f"{self.where} in {place}{tail}"
        if not self.inner:
            return f"{self.where} of {place}{tail}"
        number = f" #{self.nth}" if self.nth else ""
        return f"{self.where} {self.inner}{number} in {place}{tail}"


def parse_point(text: str) -> Point:
    """Read a point; UserError shows the forms there are."""
    words = " ".join(text.split())
    for form in (_EDGE, _INNER, _LINE, _ANYWHERE, _AT):
        if found := form.fullmatch(words):
            break
    else:
        raise UserError(f"not a point: {text!r}; write {FORMS}")
    part = found.groupdict()
    return Point(
        where=Where(words.partition(" ")[0]),
        function=part["function"],
        inner=part.get("inner") or "",
        nth=int(part.get("nth") or 0),
        caller=part.get("caller") or "",
        file=part.get("file") or "",
        offset=int(part.get("offset") or "0", 16),
    )


def _checked(text: str) -> str:
    try:
        return str(parse_point(text))
    except UserError as error:
        raise ValueError(error.message) from error


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


PointText = Annotated[str, AfterValidator(_checked)]
# One point, or several of which a kernel's first resolvable one is meant: names differ by version.
PointsOrNone = Annotated[tuple[PointText, ...], BeforeValidator(_as_list)]
Points = Annotated[PointsOrNone, Field(min_length=1)]
