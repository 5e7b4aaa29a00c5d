# SPDX-License-Identifier: GPL-2.0-only
"""Console bytes to lines: whatever a terminal, a firmware or a logger put around a message goes.

What the kernel prints in front of a message (``info_print_prefix`` in kernel/printk/printk.c):
``<level>``, ``[seconds.micros]`` and, with PRINTK_CALLER, ``[T<pid>]`` or ``[C<cpu>]``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

WIDTH = 80  # columns of a terminal that wraps
MAX_LINE = 4096  # bytes of one line that are looked at; printk's own limit is 1024


class Line(NamedTuple):
    """One message: its text, and where its raw line lies in the log (bytes).

    ``caller`` is PRINTK_CALLER's id (``T12``, ``C0``) or empty; ``stamped``: it had a time,
    ``seconds`` of the kernel's clock where the prefix says so. ``full``: it fills a terminal's
    width, so what follows without a stamp may be the rest of it.
    """

    start: int
    end: int
    text: str
    caller: str
    stamped: bool
    seconds: float = 0.0
    full: bool = False


# Control bytes but tab; NULs come from a UART that was reset. What is no ASCII the kernel did not
# print: it is a damaged byte, a replacement for one, or a logger's name of a month.
_DROPPED = bytes(code for code in (*range(32), *range(127, 256)) if code != 9)
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-9;?=]*[ -/]*[@-~]|[()*+][0-9A-Za-z]|\][^\x07]*\x07?|[=>cDEHMNOZ78])"
)
_STAMP = r"\[\s*\d{1,8}\.\d{3,9}(?:,\d+)?\]"
_PREFIX = re.compile(
    r"""(?:
      <\d{1,3}>
    | \s*\[\s*(?P<seconds>\d{1,8}\.\d{3,9})(?:,\d+)?\]
      (?:\s?\[\s*(?P<caller>[TC]\d+)[^\]\s]{0,24}\s*\])?\ ?
    | \s*\[\s*(?P<bare>[TC]\d+)\][ ]
    | \s*\[[A-Z][a-z]{2}\ [A-Z][a-z]{2}\ [ \d]\d\ \d\d:\d\d:\d\d\ \d{4}\]\ ?
    | (?:[A-Za-z]{3,5}\.?)?\ [ \d]\d\ \d\d:\d\d:\d\d\ \S+\ (?:kernel|klogd|vmunix)(?:\[\d+\])?:\ ?
    | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?
      (?:\ \S+\ kernel(?:\[\d+\])?:)?\ ?
    | kern\s{0,2}:\w+\s*:\ ?
    | \s*\[(?:\s*\+\d+[.,]\d+|[A-Z][a-z]{2}\s?\d\d\ \d\d:\d\d)\]\ ?  # dmesg --reltime
    | \d{1,3},\d+,\d+,[-c+][^;\n]{0,40};  # netconsole, /dev/kmsg
    | \d\d-\d\d\ \d\d:\d\d:\d\d\.\d+\s+\d+\s+\d+\ [VDIWEF]\ [^:\n]{0,30}:\ ?  # logcat
    | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s{1,2}(?=[<\[])
    | \[\d{4}[-/]\d\d[-/]\d\d[ ,T]+\d\d:\d\d:\d\d(?:[.,]\d+)?\]\s?
    | >\ ?(?=[>\[<])  # quoted in a mail
    | \#0(?:12|11)\s*  # a control character in a syslog
    | c\d\ +\d+\ (?=\S)
    | \d{4}/\d\d/\d\d\ \d\d:\d\d:\d\d\ (?:\[\s*\d+\]\ )?
    | -?\(\d+\)\[\d+:[^\]]{1,20}\]
    )+""",
    re.VERBOSE,
)
_HAS_STAMP = re.compile(_STAMP)
# A line; its groups where printk's own prefix and no other one stands in front. A serial console's
# carriage returns are a part of ``rest``: to leave them out takes a third longer.
LINE = re.compile(
    rb"(?:\[ *+(?P<seconds>\d{1,8}+\.\d{6})\](?:\[ *+(?P<caller>[TC]\d++)\])? "
    rb"(?:(?= ?[A-Za-z])|(?![ \t<>]*\[|<\d|> ?[>\[<]|#0|-?\(\d))(?P<rest>[^\n]*+)|[^\n]*+)\n"
)
_EMBEDDED = re.compile(r"(?<=.)(?=" + _STAMP + r"(?:\s?\[\s*[TC]\d+\s*\])? )")


def clean(raw: bytes) -> str:
    """Text of a raw line, ASCII without control bytes and terminal escapes."""
    if b"\x1b" in raw:
        raw = _ESCAPE.sub(b"", raw)
    return raw.translate(None, _DROPPED).decode("ascii")


def message(rest: bytes) -> str | None:
    """Text behind printk's prefix; None where ``split`` has to read the whole line."""
    if not rest.isascii():
        return None
    text = rest.decode("ascii")
    plain = text.isprintable() or text.replace("\t", " ").isprintable()
    plain = plain and not ("[" in text and _HAS_STAMP.search(text))
    return text if plain else None


def split(raw: bytes, start: int, end: int = 0) -> Iterator[Line]:
    """Messages of one raw line: mostly one, more when printk cut into another line.

    ``end`` of a raw line of which only the beginning is at hand.
    """
    end = end or start + len(raw)
    text = clean(raw[:MAX_LINE])
    parts = _EMBEDDED.split(text) if text.count("[") > 1 else [text]
    for part in parts:
        match = _PREFIX.match(part)
        if not match:
            yield Line(start, end, part, "", False, full=len(part) == WIDTH)
            continue
        prefix = match[0]
        stamped = "[" in prefix and bool(_HAS_STAMP.search(prefix) or match["bare"])
        yield Line(
            start,
            end,
            part[match.end() :],
            match["caller"] or match["bare"] or "",
            stamped,
            float(match["seconds"] or 0),
            len(part) == WIDTH,
        )
