# SPDX-License-Identifier: GPL-2.0-only
"""Stack frames and instruction pointers, as kernels print them."""

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a call trace.

    ``offset`` and ``size`` are in bytes, None where the kernel did not say. ``reliable`` is False
    for what the unwinder marked ``?``. ``location`` is ``file:line`` in a log that was symbolised.
    """

    function: str
    offset: int | None = None
    size: int | None = None
    module: str = ""
    reliable: bool = True
    location: str = ""


# Names that the compiler made out of one function: they are no different function to people.
_CLONE = re.compile(r"\.(?:isra|part|constprop|cold|llvm|lto_priv|localalias|unlikely)\b.*|\.\d+$")
_MANGLED = re.compile(r"_R(?:Nv|I|C|M|X|Y|Nt)\w+|_ZN\d+\w+E\Z")
_NAME = r"[A-Za-z_][\w.$]*"
# A serial line may have eaten digits.
_AT = rf"\.?(?P<function>{_NAME})\+0x(?P<offset>[0-9a-f]*)(?:/0x(?P<size>[0-9a-f]*))?"
_MODULE = r"(?:\s+\[(?P<module>[\w-]+)(?:\([A-Z]+\))?(?:\s+[0-9a-f]+)?\])?"
_FILE = r"[\w./+-]+\.(?:[chSs]|rs|inc):\d+"
_LOCATION = rf"(?P<location>{_FILE})"
_EXACTLY = r"(?::\d+)?(?:\s+\(discriminator \d+\))?"  # a column, or what the compiler counts
_FRAME = re.compile(
    rf"""\s*(?:\#\d+:?\s+)?\(?
    (?:\[?\s*<?\(?0?x?[0-9a-f]{{8,16}}\)?>?\s*\]?:?\s+){{0,2}}      # addresses
    (?:\(\s*)?(?P<unsure>\?\s+)?\(?
    {_AT}\)?{_MODULE}
    (?:\s+\((?:unreliable|[A-Z]{1, 4})\))?  # marks of powerpc, and of arm64 since 6.13
    (?:\s+\(?{_LOCATION}.*)?\s*$""",
    re.VERBOSE,
)
_ARM = re.compile(
    rf"\s*(?:\[<[0-9a-f]+>\] ?)?\((?P<function>{_NAME})(?:\+0x[0-9a-f/x]+)?(?: \[\w+\])?\) from\b"
    rf"|\s*(?P<bare>{_NAME}) from (?=[\w.]+\+0x)"
)
_INLINE = re.compile(
    rf"\s*(?:\[<\s*(?:inline|[0-9a-f]{{8,16}})\s*>\]\s+)?(?P<unsure>\?\s+)?(?P<function>{_NAME})\s+\(?{_LOCATION}"
    rf"{_EXACTLY}(?:\s+{_FILE}{_EXACTLY})*\)?(?:\s+\[inline\]|\s+\[?[a-z][\w-]*\]?)?\s*$"
)
_POINTER = re.compile(
    r"\s*(?:RIP|EIP|IP|NIP|PC|pc|epc|era|TPC|IAOQ\[0\]|IIR|Krnl PSW)(?!\w)[\s:]*"
    r"(?:is\s+)?(?:at:?\s+)?(?P<rest>.*)$"
)
_IN_POINTER = re.compile(rf"(?:^|[\s:(<\[]){_AT}\)?{_MODULE}(?:\s+{_LOCATION})?")
_POINTER_INLINE = re.compile(rf"[0-9a-f]{{4}}:(?P<function>{_NAME})\s+\(?{_LOCATION}")
_USER_SEGMENT = re.compile(r"(?:0033|0023|002b|0073|e033):")


@lru_cache(maxsize=16384)
def plain(function: str) -> str:
    """Name of a function as the source has it: without what the compiler appended, Rust's read."""
    function = _CLONE.sub("", function) if "." in function else function
    if _MANGLED.match(function):
        from demangle import demangle  # noqa: PLC0415  (a quarter of a second, seldom needed)

        return demangle(function)
    return function


@lru_cache(maxsize=8192)
def parse_frame(text: str) -> Frame | None:
    """Read one line of a call trace, None when it is something else."""
    if "+0x" in text:
        if match := _FRAME.match(text):
            return _frame(match, reliable=match["unsure"] is None)
        if match := _ARM.match(text):
            return Frame(plain(match["function"] or match["bare"]))
        return None
    if ":" in text and (match := _INLINE.match(text)):
        return Frame(
            plain(match["function"]), reliable=match["unsure"] is None, location=match["location"]
        )
    if " from " in text and (match := _ARM.match(text)):
        return Frame(plain(match["function"] or match["bare"]))
    return None


@lru_cache(maxsize=1024)
def parse_pointer(text: str) -> Frame | None:
    """Read a line that says where the CPU was (``RIP: 0010:f+0x1/0x2``, ``pc : f+0x1/0x2``)."""
    match = _POINTER.match(text)
    if not match or _USER_SEGMENT.match(match["rest"]):
        return None
    if found := _IN_POINTER.search(match["rest"]):
        return _frame(found, reliable=True)
    if found := _POINTER_INLINE.match(match["rest"]):
        return Frame(plain(found["function"]), location=found["location"])
    return None


@lru_cache(maxsize=1024)
def parse_symbol(text: str) -> Frame | None:
    """Find ``f+0x1/0x2`` anywhere in a text."""
    found = re.search(_AT + _MODULE, text)
    return _frame(found, reliable=True) if found else None


def _frame(match: re.Match[str], *, reliable: bool) -> Frame:
    groups = match.groupdict()
    size = groups.get("size")
    return Frame(
        plain(groups["function"]),
        int(groups["offset"] or "0", 16),
        int(size, 16) if size else None,
        groups.get("module") or "",
        reliable,
        groups.get("location") or "",
    )
