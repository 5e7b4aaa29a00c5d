# SPDX-License-Identifier: GPL-2.0-only
"""A vmlinux as a source of symbols and lines, read by binutils in one batch each.

Results are cached in mmrace's cache, by the kernel's build id.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmrace import proc
from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.symbols import identity
from mmrace.symbols.decode import Place, Symbol

_DEADLINE = 120.0  # seconds; a distribution's vmlinux may have 1 GB of DWARF
_LINE = re.compile(r"(?P<file>.*):(?P<line>\d+)(?: \(discriminator \d+\))?$")
_ANCHOR = "init/main.c"  # file of start_kernel; its path gives the build directory
_FORMAT = 1  # version of the cache


@dataclass(frozen=True)
class Vmlinux:
    """One vmlinux with debugging information; all members raise UserError when it is none."""

    path: Path
    home: Home | None = None

    @cached_property
    def symbols(self) -> Mapping[str, tuple[Symbol, ...]]:
        """Functions by name; static functions of equal names together."""
        if not self._kept["symbols"]:
            self._kept["symbols"] = _symbols(self._run("nm", "-n", str(self.path)))
            self._keep()
        return {
            name: tuple(Symbol(address, size) for address, size in pairs)
            for name, pairs in self._kept["symbols"].items()
        }

    def places(self, addresses: Sequence[int]) -> dict[int, tuple[Place, ...]]:
        """Lines of source at each address, innermost inlined function first.

        Addresses without debugging information are left out.
        """
        kept: dict[str, list[list[Any]]] = self._kept["places"]
        if new := [address for address in addresses if str(address) not in kept]:
            found = self._look_up(new)
            for address in new:
                kept[str(address)] = [
                    [place.function, place.file, place.line] for place in found.get(address, ())
                ]
            self._keep()
        return {
            address: tuple(Place(*place) for place in kept[str(address)])
            for address in addresses
            if kept[str(address)]
        }

    def _look_up(self, addresses: Sequence[int]) -> dict[int, tuple[Place, ...]]:
        anchor = [symbol.address for symbol in self.symbols.get("start_kernel", ())[:1]]
        requests = "\n".join(f"{address:#x}" for address in (*anchor, *addresses))
        argv = ["addr2line", "-a", "-f", "-i", "-e", str(self.path)]
        found = _read(self._run(*argv, stdin=requests.encode()))
        top = ""
        if anchor and (places := found.get(anchor[0])):
            top = places[-1].file.removesuffix(_ANCHOR)
        return {
            address: tuple(_relative(place, top) for place in places)
            for address, places in found.items()
        }

    def _run(self, *argv: str, stdin: bytes | None = None) -> str:
        done = proc.run(argv, deadline=_DEADLINE, stdin=stdin)
        if done.returncode:
            lines = done.errors.strip().splitlines()
            raise UserError(
                f"{self.path}: {argv[0]} failed: {lines[-1] if lines else '?'}; give a vmlinux"
            )
        return done.text

    @cached_property
    def _file(self) -> Path | None:
        """Path of this kernel's cache; None for a kernel without a build id."""
        build_id = identity.of_vmlinux(self.path).build_id
        return self.home.cache / "symbols" / f"{build_id}.json" if self.home and build_id else None

    @cached_property
    def _kept(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"format": _FORMAT, "symbols": {}, "places": {}}
        try:
            kept = json.loads(self._file.read_bytes()) if self._file else empty
        except (OSError, ValueError):
            return empty
        return kept if kept.get("format") == _FORMAT else empty

    def _keep(self) -> None:
        if self._file:
            write_file(self._file, json.dumps(self._kept))


def _symbols(text: str) -> dict[str, list[tuple[int, int]]]:
    """Parse nm's output; as in kallsyms, a function extends to the next symbol."""
    rows = [line.split() for line in text.splitlines()]
    known = [(int(row[0], 16), row[2]) for row in rows if len(row) == 3 and row[1] in "tTwW"]
    found: dict[str, list[tuple[int, int]]] = {}
    end = following = known[-1][0] if known else 0
    for address, name in reversed(known):
        if address != following:
            end = following
        found.setdefault(name, []).append((address, end - address))
        following = address
    return found


def _relative(place: Place, top: str) -> Place:
    return Place(place.function, place.file.removeprefix(top), place.line)


def _read(text: str) -> dict[int, tuple[Place, ...]]:
    """Parse addr2line's output: an address, then pairs of function and file:line."""
    found: dict[int, list[Place]] = {}
    places: list[Place] = []
    function = ""
    for line in text.splitlines():
        if line.startswith("0x"):
            places = found.setdefault(int(line, 16), [])
            function = ""
        elif not function:
            function = line
        else:
            if (match := _LINE.match(line)) and match["file"] != "??" and match["line"] != "0":
                places.append(Place(function, match["file"], int(match["line"])))
            function = ""
    return {address: tuple(places) for address, places in found.items()}
