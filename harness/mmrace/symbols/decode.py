# SPDX-License-Identifier: GPL-2.0-only
"""Translates symbols and addresses in a console log to file:line, with inlined functions."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.crash import dmesg
from mmrace.crash.backtrace import parse_frame, parse_pointer
from mmrace.crash.helpers import SKIP


@dataclass(frozen=True, slots=True)
class Place:
    """A line of source: function, file relative to the kernel's tree, line number."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function of the kernel: first address, and size in bytes as kallsyms computes it."""

    address: int
    size: int


Symbols = Mapping[str, Sequence[Symbol]]
Symbolize = Callable[[Sequence[int]], Mapping[int, tuple[Place, ...]]]
Source = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A line of the log, unchanged; ``places``: innermost first, the last is the function's own.

    ``pointer``: the line says where the CPU was (RIP), not a return address.
    """

    text: str
    places: tuple[Place, ...] = ()
    pointer: bool = False


_SYMBOL = re.compile(
    r"(?P<name>[A-Za-z_][\w.$]*)\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)"
    r"(?P<module> \[[\w-]+)?"
)
_ADDRESS = re.compile(r"(?:\[<|0x|^\s*)(?P<address>[0-9a-f]{16}|[0-9a-f]{8})(?=>\]|\s*$)")
_SLIDE = re.compile(r"Kernel Offset: 0x([0-9a-f]+) from")
_TRACE = re.compile(r"\s*(?:Call [Tt]race|stack backtrace)")
_DEEP = 3  # innermost frames of a trace whose source is shown
_AROUND = 3  # lines of source shown before and after


def decode(lines: Iterable[str], symbols: Symbols, symbolize: Symbolize) -> tuple[Decoded, ...]:
    """Look up all frames and pointers of a log in one batch.

    For a return address, the byte before it is looked up, which belongs to the call. Frames in
    modules stay unchanged, as a vmlinux does not have them; so do functions whose size in the log
    differs, as the log is then of another kernel. ``Kernel Offset`` is subtracted from bare
    addresses.
    """
    texts = list(lines)
    found = [_address(text, symbols) for text in texts]
    slide = next((int(match[1], 16) for text in texts if (match := _SLIDE.search(text))), 0)
    if found and any(item and item[2] for item in found):
        found = [_slid(item, slide) for item in found]
    addresses = sorted({item[0] for item in found if item})
    places = symbolize(addresses) if addresses else {}
    return tuple(
        Decoded(text, places.get(item[0], ()), item[1]) if item else Decoded(text)
        for text, item in zip(texts, found, strict=True)
    )


def _slid(item: tuple[int, bool, bool] | None, slide: int) -> tuple[int, bool, bool] | None:
    return (item[0] - slide, item[1], False) if item and item[2] else item


def _address(text: str, symbols: Symbols) -> tuple[int, bool, bool] | None:
    """Address to look up, whether it is a pointer, and whether the log has it as a bare number."""
    message = next(iter(dmesg.split(text.encode(), 0))).text
    pointer = parse_pointer(message) is not None
    if match := _SYMBOL.search(message):
        if match["module"] or not (pointer or parse_frame(message)):
            return None
        start = _start(symbols.get(match["name"], ()), int(match["size"], 16))
        if start is None:
            return None
        offset = int(match["offset"], 16)
        return start + offset - (0 if pointer or not offset else 1), pointer, False
    if (match := _ADDRESS.search(message)) and (number := int(match["address"], 16)) >> 31:
        return number - 1, False, True
    return None


def _start(candidates: Sequence[Symbol], size: int) -> int | None:
    """A function's start; None when no candidate has the size in the log."""
    return next((item.address for item in candidates if item.size == size), None)


def render(decoded: Iterable[Decoded], source: Source | None = None) -> Iterator[str]:
    """Lines for people, which ``mmrace.crash`` can parse too: inlined functions come first."""
    left = 0
    for item in decoded:
        left = _DEEP if item.pointer or _TRACE.search(item.text) else left
        if not item.places:
            yield item.text
            continue
        lead = item.text[: len(item.text) - len(item.text.lstrip())]
        if match := _SYMBOL.search(item.text):
            lead = item.text[: match.start()]
        *inlined, own = item.places
        for place in inlined:
            yield f"{lead}{place.function} {place} [inline]"
        yield f"{item.text.rstrip()} {own}"
        if source and left and own.function not in SKIP:
            left -= 1
            yield from _quote(item.places[0], source)


class SourceFiles:
    """Files of a kernel's source, each read once; empty for a missing file."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._files: dict[str, Sequence[str]] = {}

    def __call__(self, name: str) -> Sequence[str]:
        """Return a file's lines; ``name`` is relative to the source's top."""
        if name not in self._files:
            path = self._top / name
            text = path.read_text(errors="replace") if path.is_file() else ""
            self._files[name] = text.splitlines()
        return self._files[name]


def _quote(place: Place, source: Source) -> Iterator[str]:
    lines = source(place.file)
    first = max(1, place.line - _AROUND)
    for number, text in enumerate(lines[first - 1 : place.line + _AROUND], first):
        mark = ">" if number == place.line else " "
        yield f"    {mark}{number:6} {text.rstrip()}"
