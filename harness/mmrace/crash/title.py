# SPDX-License-Identifier: GPL-2.0-only
"""What to call a crash."""

import re
from collections.abc import Iterable

from mmrace.crash.formats import Format, Use
from mmrace.crash.kind import Kind


def titles(
    form: Format,
    header: re.Match[str],
    kind: Kind,
    stated: str,
    access: str,
    function: str,
    others: Iterable[str],
) -> tuple[str, ...]:
    """Name a crash by its header; the names after the first are other ones for the same.

    ``stated`` are a prelude's words, ``access`` is KASAN's Read or Write, ``others``
    functions by which people may know it too.
    """
    groups = {name: value or "" for name, value in header.groupdict().items()}
    words = form.title.format_map(groups).strip(" :.").replace("  ", " ")
    end = f" in {function}" if function else ""
    if kind is Kind.VM_BUG_ON:
        found = [words + end, stated]
    elif stated:
        found = [stated + end, words + end]
    else:
        found = [words + end]
    if access:
        found.append(f"{words} {access}{end}")
    if groups.get("file") and form.kind in (Kind.BUG, Kind.WARNING):
        found.append(f"{words} at {groups['file']}")
    if form.use is not Use.NONE:
        found += [f"{words} in {other}" for other in others if other and other != function]
    return tuple(dict.fromkeys(found))
