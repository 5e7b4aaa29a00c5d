# SPDX-License-Identifier: GPL-2.0-only
"""Traces of recorded crashes with lines of source, from what mmrace's home still holds."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from mmrace.building.kernel import load_kernel
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.reports import account
from mmrace.reports.account import Account, Place
from mmrace.runs.record import RunDir
from mmrace.sources import tree
from mmrace.sources.git import Repository
from mmrace.symbols import decode
from mmrace.symbols.symbolizer import Vmlinux

RUNS = 60  # crashes that are looked up
QUOTED = 8  # innermost places whose line of source is shown


def traces(home: Home, runs: Sequence[RunDir]) -> dict[str, tuple[Place, ...]]:
    """Symbolised traces by run id, one batch for each kernel; newest RUNS crashes only.

    A kernel that is no longer there, or whose vmlinux cannot be read, leaves its runs without: a
    report is made of what there is.
    """
    failed = [run for run in runs if run.judgement().outcome.failed]
    crashed = [item for item in map(account.read, failed[-RUNS:]) if item.crash]
    found: dict[str, tuple[Place, ...]] = {}
    for name in dict.fromkeys(item.spec.kernel_id for item in crashed):
        kernel = load_kernel(home, name)
        if not kernel:
            continue
        items = [item for item in crashed if item.spec.kernel_id == name]
        vmlinux = Vmlinux(kernel.vmlinux, home)
        source = _Source(tree.store(home), items[0].spec.revision)
        with suppress(MmraceError):
            for item, places in zip(
                items, symbolised(items, vmlinux.symbols, vmlinux.places), strict=True
            ):
                found[item.run.id] = tuple(map(source.quote, places[:QUOTED])) + places[QUOTED:]
    return found


def symbolised(
    items: Sequence[Account], symbols: decode.Symbols, symbolize: decode.Symbolize
) -> list[tuple[Place, ...]]:
    """Each account's trace; functions inlined into one stand before it."""
    lines = [_line(place, item.report) for item in items for place in item.places]
    decoded = iter(decode.decode(lines, symbols, symbolize))
    return [
        tuple(made for printed in item.places for made in _places(printed, next(decoded)))
        for item in items
    ]


def _places(printed: Place, decoded: decode.Decoded) -> Iterator[Place]:
    if not decoded.places:
        yield printed
        return
    *inlined, own = decoded.places
    for place in inlined:
        yield Place(place.function, str(place), inlined=True)
    yield replace(printed, location=str(own))


def _line(place: Place, report: str) -> str:
    """A place as the kernel printed it: where the CPU was, or a return address."""
    symbol = place.function + place.offset
    full = re.search(rf"(?P<at>RIP: 0010:)?\b(?P<symbol>{re.escape(place.function)}[\w.]*"
                     rf"{re.escape(place.offset)})(?!\w)", report)  # fmt: skip
    if not full or not place.offset:
        return f" {symbol}"
    return (full["at"] or " ") + full["symbol"]


class _Source:
    """Lines of a kernel's source, each file read once from mmrace's store."""

    def __init__(self, store: Repository, revision: str) -> None:
        self._store = store
        self._revision = revision
        self._files: dict[str, list[str]] = {}

    def quote(self, place: Place) -> Place:
        """Add the line at which a place is."""
        path, _, line = place.location.rpartition(":")
        if not path or not line.isdigit():
            return place
        if path not in self._files:
            text = self._store.file(self._revision, path) or b""
            self._files[path] = text.decode(errors="replace").splitlines()
        lines, number = self._files[path], int(line)
        return replace(place, source=lines[number - 1].strip()) if number <= len(lines) else place
