# SPDX-License-Identifier: GPL-2.0-only
"""The crash that a user wants: a title, a regular expression, or a log to take the title from."""

import re
from pathlib import Path

from mmrace.crash import parse
from mmrace.errors import UserError


def wanted_title(text: str) -> str:
    """Return a regular expression for titles, from a title, an expression or the name of a file.

    Of a console log or a report the first crash counts, of a file without one its first line, as
    fuzzers write titles. Raises UserError for a file that cannot be read.
    """
    path = Path(text)
    if len(text) < 4096 and path.is_file():
        try:
            return _exactly(_title(path))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; name the crash's title instead") from error
    try:
        re.compile(text)
    except re.error:
        return _exactly(text)
    return f"{re.escape(text)}|(?:{text})"


def _title(path: Path) -> str:
    data = path.read_bytes()
    if found := parse(data):
        return found[0].title
    first = data.decode(errors="replace").strip().partition("\n")[0].strip()
    if not first:
        raise UserError(f"{path}: no crash in it; name the crash's title instead")
    return first.removeprefix("TITLE:").strip()


def _exactly(title: str) -> str:
    return f"^{re.escape(title)}$"
