# SPDX-License-Identifier: GPL-2.0-only
"""Where a function's code is in a vmlinux, out of line and inlined, from DWARF 4 or 5."""

import bisect
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, cast

from elftools.common.exceptions import ELFError
from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DWARFInfo
from elftools.elf.elffile import ELFFile

from mmrace.errors import UserError

Ranges = tuple[tuple[int, int], ...]
_SYMBOL = struct.Struct("<IBBHQQ")
_STT_FUNC = 2
_SCOPES = ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block")
SOURCE = "/src/"  # path of the kernel's source inside the sandbox of every build


@dataclass(frozen=True)
class Body:
    """One copy of a function's code.

    ``ranges``: half-open address ranges, with cold parts and all code inlined into it.
    ``container``: ranges of the out-of-line function around it, its own if it is out of line.
    ``line``: the parent's line that calls it, 0 if out of line. ``inner``: functions inlined
    directly into it. ``file``: where the function is defined; ``unit``: its compilation unit;
    ``declared``: the line of its name.
    """

    name: str
    file: str
    ranges: Ranges
    entry: int
    unit: int
    container: Ranges
    container_entry: int
    inlined: bool
    line: int
    inner: tuple["Body", ...]
    declared: int = 0

    def __contains__(self, address: int) -> bool:
        """Whether an address is in this copy."""
        return any(low <= address < high for low, high in self.ranges)

    def walk(self) -> Iterator["Body"]:
        """All copies inlined into this one, at any depth, outer ones first."""
        for body in self.inner:
            yield body
            yield from body.walk()

    def line_of(self, address: int) -> int:
        """Source line of this function that calls the code inlined at an address, else 0."""
        return next((body.line for body in self.inner if address in body), 0)


class Debug:
    """Debug information of one vmlinux; UserError when it has none."""

    def __init__(self, vmlinux: Path) -> None:
        self.vmlinux = vmlinux
        try:
            self._elf = ELFFile(io.BytesIO(vmlinux.read_bytes()))
            self._dwarf: DWARFInfo = self._elf.get_dwarf_info()
        except (OSError, ELFError) as error:
            raise UserError(
                f"{vmlinux}: not a readable ELF file: {error}; give a vmlinux"
            ) from error
        if not self._elf.has_dwarf_info() or self._dwarf.debug_info_sec is None:
            raise UserError(f"{vmlinux}: no debug information; build with DEBUG_INFO_DWARF5")
        self._bodies: dict[str, tuple[Body, ...]] = {}
        self._read: dict[int, tuple[Body, ...]] = {}  # by the unit's offset
        self._lines: dict[int, list[tuple[int, int]]] = {}

    def bodies(self, function: str) -> tuple[Body, ...]:
        """Return all copies of a function's code; empty when the kernel has none."""
        if function not in self._bodies:
            found: dict[tuple[int, Ranges], Body] = {}
            for offset in sorted(self._units_with(function)):
                for body in self._unit(offset):
                    for copy in (body, *body.walk()):
                        if copy.name == function:
                            found[copy.entry, copy.ranges] = copy
            self._bodies[function] = tuple(found.values())
        return self._bodies[function]

    def body_at(self, address: int) -> Body | None:
        """The out-of-line function around an address, None when no unit has it."""
        aranges = self._dwarf.get_aranges()
        offset = aranges.cu_offset_at_addr(address) if aranges else None
        found = self._unit(offset) if offset is not None else ()
        return next((body for body in found if address in body), None)

    @property
    def dwarf(self) -> DWARFInfo:
        """The whole debug information, for callers that need more than this class has."""
        return self._dwarf

    def code(self, low: int, high: int) -> bytes:
        """The bytes from ``low`` to ``high``; empty when the file has no code there."""
        for section in self._elf.iter_sections():
            begin = section["sh_addr"]
            if begin and begin <= low and high <= begin + section["sh_size"]:
                self._elf.stream.seek(section["sh_offset"] + low - begin)
                return bytes(self._elf.stream.read(high - low))
        return b""

    def scopes(self, address: int) -> Iterator[DIE]:
        """The function around an address, and nested scopes or inlined ones, outermost first."""
        aranges = self._dwarf.get_aranges()
        offset = aranges.cu_offset_at_addr(address) if aranges else None
        inside = [] if offset is None else [self._dwarf.get_CU_at(offset).get_top_DIE()]
        while inside:
            around = inside.pop()
            for die in around.iter_children():
                ranges = self._ranges(die) if die.tag in _SCOPES else ()
                if any(low <= address < high for low, high in ranges):
                    yield die
                    inside.append(die)

    def line(self, body: Body, address: int) -> int:
        """Source line of ``body``'s function for an address in it, 0 if unknown."""
        if line := body.line_of(address):
            return line
        if body.unit not in self._lines:
            program = self._dwarf.line_program_for_CU(self._dwarf.get_CU_at(body.unit))
            entries = program.get_entries() if program else ()
            states = (entry.state for entry in entries if entry.state)
            self._lines[body.unit] = sorted((state.address, state.line) for state in states)
        rows = self._lines[body.unit]
        at = bisect.bisect_right(rows, (address, 1 << 30)) - 1
        return rows[at][1] if at >= 0 else 0

    def stretches(self, body: Body, line: int) -> set[int]:
        """First address of each contiguous part of a function's own code that belongs to a line."""
        unit = self._dwarf.get_CU_at(body.unit)
        program = self._dwarf.line_program_for_CU(unit)
        entries = program.get_entries() if program else ()
        rows = sorted((entry.state.address, entry.state.line) for entry in entries if entry.state)
        found, before = set(), 0
        for address, number in rows:
            own = address in body and not any(address in inner for inner in body.walk())
            if own and number == line and before != line:
                found.add(address)
            before = number if own else 0
        return found

    def units(self) -> Iterator[tuple[str, Ranges]]:
        """Source file of each compilation unit, as ``mm/rmap.c``, and its address ranges."""
        for offset in self._unit_offsets:
            top = self._dwarf.get_CU_at(offset).get_top_DIE()
            name = _text(top, "DW_AT_name").removeprefix(SOURCE)
            if name and (ranges := self._ranges(top)):
                yield name, ranges

    def symbol(self, address: int) -> str:
        """Name of the function symbol at an address, with the compiler's suffix."""
        return self._symbols.get(address, "")

    def symbol_addresses(self, name: str) -> tuple[int, ...]:
        """Addresses of the function symbols of exactly that name."""
        return tuple(address for address, known in self._symbols.items() if known == name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all functions with out-of-line code, sorted."""
        return tuple(sorted({name.partition(".")[0] for name in self._symbols.values()}))

    @cached_property
    def _symbols(self) -> dict[int, str]:
        table, strings = (self._elf.get_section_by_name(name) for name in (".symtab", ".strtab"))
        if not table or not strings:
            return {}
        text = strings.data()
        found = {}
        for name, info, _, _, address, _ in _SYMBOL.iter_unpack(table.data()):
            if info & 15 == _STT_FUNC:
                found[address] = text[name : text.index(b"\0", name)].decode(errors="replace")
        return found

    @cached_property
    def _unit_offsets(self) -> list[int]:
        raw, offsets, at = self._info, [], 0
        while at < len(raw):
            offsets.append(at)
            (length,) = struct.unpack_from("<I", raw, at)
            at += length + 4
        return offsets

    @cached_property
    def _info(self) -> bytes:
        return _content(self._dwarf.debug_info_sec)

    def _units_with(self, name: str) -> set[int]:
        """Units that may mention a name, found in seconds by references to its string.

        Strings share tails, so the name need not begin where a string in the table does. Names of
        up to three letters are not in the table; no function of interest has one.
        """
        strings = _content(self._dwarf.debug_str_sec)
        return {
            self._unit_offsets[bisect.bisect_right(self._unit_offsets, at) - 1]
            for offset in _find_all(strings, name.encode() + b"\0")
            for at in _find_all(self._info, struct.pack("<I", offset))
        }

    def _unit(self, offset: int) -> tuple[Body, ...]:
        """The out-of-line functions of a unit; cached, as reading a unit takes milliseconds."""
        if offset not in self._read:
            self._read[offset] = tuple(self._read_unit(self._dwarf.get_CU_at(offset)))
        return self._read[offset]

    def _read_unit(self, unit: CompileUnit) -> Iterator[Body]:
        for die in unit.get_top_DIE().iter_children():
            if die.tag == "DW_TAG_subprogram" and (ranges := self._ranges(die)):
                yield self._body(die, ranges, ranges, self._entry(die, ranges))

    def _body(self, die: DIE, ranges: Ranges, container: Ranges, container_entry: int) -> Body:
        origin = _origin(die)
        inlined = die.tag == "DW_TAG_inlined_subroutine"
        return Body(
            name=_text(origin, "DW_AT_name"),
            file=self._file(origin),
            ranges=ranges,
            entry=self._entry(die, ranges),
            unit=die.cu.cu_offset,
            container=container,
            container_entry=container_entry,
            inlined=inlined,
            line=die.attributes["DW_AT_call_line"].value if inlined else 0,
            inner=tuple(self._inner(die, container, container_entry)),
            declared=_number(origin, "DW_AT_decl_line"),
        )

    def _inner(self, die: DIE, container: Ranges, container_entry: int) -> Iterator[Body]:
        for child in die.iter_children():
            if child.tag == "DW_TAG_inlined_subroutine" and (ranges := self._ranges(child)):
                yield self._body(child, ranges, container, container_entry)
            elif child.tag == "DW_TAG_lexical_block":
                yield from self._inner(child, container, container_entry)

    def _ranges(self, die: DIE) -> Ranges:
        attributes = die.attributes
        if "DW_AT_ranges" in attributes:
            return self._range_list(die)
        if "DW_AT_low_pc" not in attributes or "DW_AT_high_pc" not in attributes:
            return ()
        low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
        end = high.value if high.form == "DW_FORM_addr" else low + high.value
        return ((low, end),) if end > low else ()

    def _range_list(self, die: DIE) -> Ranges:
        lists: Any = self._dwarf.range_lists()
        top = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        base = top.value if top else 0
        found = []
        for entry in lists.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, die.cu):
            if hasattr(entry, "base_address"):
                base = entry.base_address
                continue
            shift = 0 if getattr(entry, "is_absolute", False) else base
            if entry.end_offset > entry.begin_offset:
                found.append((entry.begin_offset + shift, entry.end_offset + shift))
        return tuple(found)

    def _entry(self, die: DIE, ranges: Ranges) -> int:
        entry = die.attributes.get("DW_AT_entry_pc")
        if entry is None:
            return ranges[0][0]
        address: int = entry.value
        return address if entry.form.startswith("DW_FORM_addr") else ranges[0][0] + address

    def _file(self, origin: DIE) -> str:
        index = origin.attributes.get("DW_AT_decl_file")
        program = self._dwarf.line_program_for_CU(cast(CompileUnit, origin.cu))
        if index is None or program is None:
            return ""
        header = program.header
        first = 0 if header.version >= 5 else 1
        entry = header.file_entry[index.value - first]
        folder = ""
        if header.version >= 5 or entry.dir_index:
            folder = header.include_directory[entry.dir_index - first].decode()
        return str(PurePosixPath(folder) / entry.name.decode())


def _origin(die: DIE) -> DIE:
    """Return the DIE that has the name (abstract origin or specification)."""
    for reference in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if reference in die.attributes:
            return _origin(die.get_DIE_from_attribute(reference))
    return die


def _number(die: DIE, attribute: str) -> int:
    value = die.attributes.get(attribute)
    return int(value.value) if value else 0


def _text(die: DIE, attribute: str) -> str:
    value = die.attributes.get(attribute)
    return value.value.decode() if value else ""


def _content(section: DebugSectionDescriptor | None) -> bytes:
    if section is None:
        return b""
    section.stream.seek(0)
    return section.stream.read()


def _find_all(haystack: bytes, needle: bytes) -> Iterator[int]:
    at = haystack.find(needle)
    while at >= 0:
        yield at
        at = haystack.find(needle, at + 1)
