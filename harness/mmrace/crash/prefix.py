# SPDX-License-Identifier: GPL-2.0-only
"""Prefixes of unknown loggers: learnt from the line of a header, taken off what follows."""

import re
from functools import lru_cache

_LONGEST = 100  # characters of a prefix
_TOKEN = re.compile(r"\d+|\s+|[A-Za-z]+|.")
_SUBSYSTEM = re.compile(r"(?:[A-Za-z][\w /-]*: )+\Z")  # pr_fmt() of a file: a part of the message


def learn(text: str, length: int) -> re.Pattern[str] | None:
    """Pattern of what stands before a header that begins ``length`` characters into a line.

    Numbers may differ from line to line, as may single capitals (the priorities of logcat). None
    where nothing stands there, or only the name of a subsystem.
    """
    prefix = text[:length]
    if not prefix.strip() or length > _LONGEST or _SUBSYSTEM.match(prefix):
        return None
    return like(prefix)


@lru_cache(maxsize=256)
def like(prefix: str) -> re.Pattern[str]:
    """Pattern of a prefix, with other numbers and other single capitals."""
    tokens = _TOKEN.findall(prefix)
    parts = [_part(token) for token in tokens]
    if len(tokens) > 1 and tokens[-1].isspace():
        parts[-1] = r"(?:\s|\Z)"
    return re.compile("".join(parts))


def _part(token: str) -> str:
    if token.isdigit():
        return r"\d+"
    if token.isspace():
        return rf"\s{{1,{len(token) + 4}}}" if len(token) > 1 else r"\s"
    if len(token) == 1 and token.isupper():
        return "[A-Z]"
    return re.escape(token)
