# SPDX-License-Identifier: GPL-2.0-only
"""From a sync point's name to its addresses in one kernel."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmrace.definitions.point import Point, Where, parse_point
from mmrace.errors import UserError
from mmrace.home import write_file
from mmrace.symbols.disassembly import Code, Flow, disassemble, find_exits
from mmrace.symbols.dwarf import Body, Debug

_CACHE_VERSION = 2
_LONGEST_INSN = 16  # bytes, at least the longest x86-64 instruction


@dataclass(frozen=True)
class Gate:
    """A condition on the path by which a vCPU reached a point.

    Open from when a vCPU passes one of ``entries`` right after one of ``calls``, until it passes
    one of ``entries`` otherwise. A task switch between call, entry and point can defeat it; the
    path between them is short and rarely sleeps.
    """

    calls: tuple[int, ...]
    entries: tuple[int, ...]


@dataclass(frozen=True)
class Resolved:
    """A point's instructions in one kernel; the vCPU is there before it executes them."""

    point: str
    addresses: tuple[int, ...]
    gate: Gate | None = None


@dataclass(frozen=True)
class Occurrence:
    """A call, or an inlined copy, of ``name`` in a function, at a source line of that function.

    ``tail``: a tail call, which does not return to this function.
    """

    name: str
    line: int
    inlined: bool
    address: int
    body: Body
    copy: Body | None = None
    tail: bool = False

    @property
    def kind(self) -> str:
        """How the function gets there: call, jump, or inlined code."""
        if self.inlined:
            return "inlined"
        return "jump" if self.tail else "call"


class Resolver:
    """Resolves points against one vmlinux; ``kernel`` names it in errors.

    ``cache``: a file that the caller keeps for this very kernel; it stores results and failures, so
    that a point is looked up once.
    """

    def __init__(self, vmlinux: Path, kernel: str, cache: Path | None = None) -> None:
        self.vmlinux = vmlinux
        self.kernel = kernel
        self._cache = cache
        self._known, self._faults = _load(cache)
        self._debug: Debug | None = None

    def resolve(self, alternatives: Sequence[str]) -> Resolved:
        """Return the first of the alternatives that this kernel has; UserError if it has none."""
        faults = []
        for text in alternatives:
            if text in self._known:
                return self._known[text]
            if text not in self._faults:
                try:
                    self._known[text] = self._resolve(parse_point(text))
                except UserError as error:
                    if self._debug is None:  # the vmlinux is unreadable; do not cache that
                        raise
                    self._faults[text] = error.message
                self._save()
            if text in self._known:
                return self._known[text]
            faults.append(self._faults[text])
        raise UserError(f"{self.kernel} lacks a sync point; {'; '.join(faults)}")

    def occurrences(self, function: str) -> tuple[Occurrence, ...]:
        """Return all that ``before`` and ``after`` can name in a function, by source line."""
        return self._occurrences(self._bodies(Point(Where.ENTRY, function)))

    @property
    def debug(self) -> Debug:
        """The vmlinux's debug information, read when first needed."""
        if self._debug is None:
            self._debug = Debug(self.vmlinux)
        return self._debug

    def _resolve(self, point: Point) -> Resolved:
        if point.caller and point.where in (Where.ENTRY, Where.RETURN):
            # A copy inlined in the caller has only that caller: no condition at run time is needed.
            side = Where.BEFORE if point.where is Where.ENTRY else Where.AFTER
            turned = self._resolve(Point(side, point.caller, inner=point.function))
            return Resolved(str(point), turned.addresses, turned.gate)
        if point.where is Where.AT:
            return self._at(point)
        origin: Gate | None = None
        if point.caller:
            bodies, origin = self._called_from(point)
        else:
            bodies = self._bodies(point)
        if point.where is Where.ENTRY:
            addresses, gate = {body.entry for body in self._heads(bodies)}, None
        elif point.where is Where.RETURN:
            addresses, gate = self._returns(point, bodies)
        elif point.where is Where.ANYWHERE:
            addresses, gate = self._anywhere(bodies), None
        elif point.where is Where.LINE:
            addresses, gate = self._line(point, bodies), None
        else:
            addresses, gate = self._beside(point, bodies)
        return Resolved(str(point), tuple(sorted(addresses)), origin or gate)

    def _bodies(self, point: Point) -> tuple[Body, ...]:
        bodies = tuple(filter(partial(_in_file, point.file), self.debug.bodies(point.function)))
        if not bodies:
            near = difflib.get_close_matches(point.function, self.debug.names, 3, 0.6)
            raise UserError(f"`{point}`: no code of {point.function}; {_nearest(near)}")
        files = sorted({body.file for body in bodies})
        if len(files) > 1:
            named = ", ".join(f"{file}:{point.function}" for file in files[:4])
            raise UserError(f"`{point}`: {point.function} is several functions; name one: {named}")
        return bodies

    def _heads(self, bodies: Iterable[Body]) -> list[Body]:
        """Leave out parts that gcc split off a function; they are entered from the function."""
        found = list(bodies)
        split = [body for body in found if ".part." in self.debug.symbol(body.entry)]
        return [body for body in found if body not in split] or found

    def _code(self, body: Body) -> Code:
        return disassemble(self.vmlinux, body.container)

    def _returns(self, point: Point, bodies: Sequence[Body]) -> tuple[set[int], Gate | None]:
        found: set[int] = set()
        for body in (item for item in bodies if not item.inlined):
            for insn in self._code(body).values():
                if insn.flow is Flow.RETURN:
                    found.add(insn.address)
                elif insn.tail and not any(insn.target in other for other in bodies):
                    raise UserError(
                        f"`{point}`: {point.function} can leave by a jump into {insn.symbol};"
                        f" name the place in its caller: `after {point.function} in CALLER`"
                    )
        copies = [body for body in bodies if body.inlined]
        if not copies:
            return found, None
        exits, gate = self._exits(point, copies, {body.entry for body in copies})
        # A gate would exclude the returns of out-of-line copies.
        return found | exits, None if found else gate

    def _anywhere(self, bodies: Sequence[Body]) -> set[int]:
        """Entries, returns, and what ``before`` can name.

        Inlined copies are left in their caller.
        """
        found = {body.entry for body in self._heads(bodies)}
        found |= {item.address for item in self._occurrences(bodies)}
        for body in (item for item in bodies if not item.inlined):
            code = self._code(body).values()
            found |= {insn.address for insn in code if insn.flow is Flow.RETURN}
        return found

    def _line(self, point: Point, bodies: Sequence[Body]) -> set[int]:
        found: set[int] = set()
        for body in bodies:
            found |= self.debug.stretches(body, body.declared + point.nth - 1)
        if not found:
            raise UserError(
                f"`{point}`: no code of {point.function} belongs to that line; choose another line"
            )
        return found

    def _at(self, point: Point) -> Resolved:
        """Resolve a symbol+offset as in kernel reports; a kernel may have several such symbols."""
        found = set()
        for entry in self.debug.symbol_addresses(point.function):
            address = entry + point.offset
            around = ((min(entry, address), address + _LONGEST_INSN),)
            if address in disassemble(self.vmlinux, around):
                found.add(address)
        if not found:
            raise UserError(
                f"`{point}`: no instruction of {point.function} begins there; choose another offset"
            )
        return Resolved(str(point), tuple(sorted(found)))

    def _beside(self, point: Point, bodies: Sequence[Body]) -> tuple[set[int], Gate | None]:
        everything = self._occurrences(bodies)
        chosen = [item for item in everything if item.name == point.inner]
        if not chosen:
            names = sorted({item.name for item in everything})
            near = difflib.get_close_matches(point.inner, names, 3, 0.4) or names[:6]
            raise UserError(
                f"`{point}`: {point.function} neither calls nor inlines {point.inner};"
                f" {_nearest(near)}"
            )
        if point.nth:
            lines = sorted({item.line for item in chosen})
            if point.nth > len(lines):
                raise UserError(
                    f"`{point}`: {point.inner} occurs {len(lines)} times there; name a lower #N"
                )
            chosen = [item for item in chosen if item.line == lines[point.nth - 1]]
        before = {item.address for item in chosen}
        if point.where is Where.BEFORE:
            return before, None
        if any(item.tail for item in chosen):
            raise UserError(
                f"`{point}`: {point.inner} is jumped to and does not come back there;"
                f" name `return of {point.inner}` or a place in the caller"
            )
        after = {self._code(item.body)[item.address].next for item in chosen if not item.copy}
        copies = [item.copy for item in chosen if item.copy]
        exits, gate = self._exits(point, copies, before, after)
        return after | exits, gate

    def _occurrences(self, bodies: Iterable[Body]) -> tuple[Occurrence, ...]:
        found = []
        for body in bodies:
            for copy in body.walk():
                line = body.line_of(copy.entry)
                found.append(Occurrence(copy.name, line, True, copy.entry, body, copy))
            for insn in self._code(body).values():
                if insn.address in body and insn.symbol and (insn.flow is Flow.CALL or insn.tail):
                    name = insn.symbol.partition(".")[0]
                    line = self.debug.line(body, insn.address)
                    item = Occurrence(name, line, False, insn.address, body, tail=insn.tail)
                    found.append(item)
        return tuple(sorted(found, key=lambda item: (item.line, item.address)))

    def _exits(
        self, point: Point, copies: Iterable[Body], before: set[int], after: set[int] | None = None
    ) -> tuple[set[int], Gate | None]:
        """Where inlined copies are left.

        With a gate if those places can be reached otherwise too.
        """
        found: set[int] = set()
        shared = False
        for copy in copies:
            code = self._code(copy)
            inside = {address for address in code if address in copy}
            exits = find_exits(code, copy.container_entry, copy.entry, inside)
            if not exits.addresses:
                raise UserError(
                    f"`{point}`: the compiler mixed {copy.name} with its surroundings;"
                    " it has no end of its own there"
                )
            found |= exits.addresses
            shared = shared or exits.shared
        if not shared:
            return found, None
        return found, Gate(tuple(sorted(before)), tuple(sorted(found | (after or set()))))

    def _called_from(self, point: Point) -> tuple[tuple[Body, ...], Gate | None]:
        """Narrow a function down to the copies that one caller executes.

        Inlined copies are looked up in the caller: a function in a header has hundreds elsewhere.
        """
        callers = self._bodies(Point(Where.ENTRY, point.caller))
        calls = [item for item in self._occurrences(callers) if item.name == point.function]
        copies = tuple(item.copy for item in calls if item.copy and _in_file(point.file, item.copy))
        if not calls or (copies and len(copies) < len(calls)):
            self._bodies(point)  # raises first if the kernel lacks the function
            fault = "both calls and inlines" if calls else "does not call"
            raise UserError(
                f"`{point}`: {point.caller} {fault} {point.function}; name another caller"
            )
        if copies:
            return copies, None
        bodies = tuple(body for body in self._bodies(point) if not body.inlined)
        entries = {body.entry for body in self._heads(bodies)}
        return bodies, Gate(tuple(sorted({item.address for item in calls})), tuple(sorted(entries)))

    def _save(self) -> None:
        if self._cache:
            points = {text: asdict(found) for text, found in self._known.items()}
            content = {"version": _CACHE_VERSION, "points": points, "faults": self._faults}
            write_file(self._cache, json.dumps(content))


def _in_file(file: str, body: Body) -> bool:
    """Whether a function is defined in a source file, as users name it; "" matches any."""
    return not file or f"/{body.file}".endswith("/" + file)


def _nearest(names: Sequence[str]) -> str:
    return f"nearest: {', '.join(names)}" if names else "check its name"


def _load(cache: Path | None) -> tuple[dict[str, Resolved], dict[str, str]]:
    try:
        content = json.loads(cache.read_bytes()) if cache else {}
    except (OSError, ValueError):
        return {}, {}
    if content.get("version") != _CACHE_VERSION:
        return {}, {}
    points = {text: _resolved(fields) for text, fields in content["points"].items()}
    return points, content["faults"]


def _resolved(fields: dict[str, Any]) -> Resolved:
    gate = fields["gate"]
    return Resolved(
        fields["point"],
        tuple(fields["addresses"]),
        Gate(tuple(gate["calls"]), tuple(gate["entries"])) if gate else None,
    )
