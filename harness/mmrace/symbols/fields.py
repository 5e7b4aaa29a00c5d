# SPDX-License-Identifier: GPL-2.0-only
"""Which field an instruction accesses, if DWARF tells what the registers hold there.

The operand is ``offset(base)``. If a pointer variable or parameter, of the function or of one
inlined around the instruction, is in the base register according to its location list, its type
names the field. (DWARF 5, sections 2.6.2 and 4.1; ``perf annotate --data-type`` works alike.)
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from elftools.dwarf.die import DIE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.locationlists import BaseAddressEntry, LocationEntry, LocationParser

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.symbols.dwarf import Debug

# By DWARF register number (System V ABI, AMD64 supplement, figure 3.36).
_REGISTERS = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"]
_REGISTERS += [f"r{number}" for number in range(8, 16)]
_OPERAND = re.compile(r"(?<![%\w])(-?(?:0x)?[0-9a-f]*)\(%(r\w+)\)")
_ROW = re.compile(r"^ *([0-9a-f]+):\t(.*)$")
_PLACE = 32  # bytes reserved for each instruction, which has 15 at most
_NOP = b"\x90"
_VARIABLES = ("DW_TAG_formal_parameter", "DW_TAG_variable")
_NAMES = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type")
_RECORDS = ("DW_TAG_structure_type", "DW_TAG_union_type")
_DEPTH = 8  # levels of nested records, at most


def fields_of(debug: Debug, spans: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Name the field that each instruction accesses, as ``page.flags``, by its address.

    ``spans``: first address of each instruction and the address after it. Instructions for which
    DWARF does not tell are left out. Raises InfraError when objdump fails.
    """
    found = {}
    for (address, _), text in zip(spans, _operands(debug, spans), strict=True):
        operand = _OPERAND.search(text)
        if operand and operand[2] in _REGISTERS:
            offset = int(operand[1] or "0", 16 if "0x" in operand[1] else 10)
            register = _REGISTERS.index(operand[2])
            held = sorted(_held(debug, address, register), key=_largest_first)
            names = (_field(*one, offset) for one in held)
            if name := next(filter(None, names), ""):
                found[address] = name
    return found


def _operands(debug: Debug, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Disassemble all instructions (AT&T syntax) by one objdump, as reading a vmlinux takes 1 s."""
    if not spans:
        return []
    code = b"".join(debug.code(*span).ljust(_PLACE, _NOP) for span in spans)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "code"
        path.write_bytes(code)
        done = proc.run(["objdump", "-D", "-w", "-b", "binary", "-m", "i386:x86-64",
                         "--no-show-raw-insn", str(path)], deadline=60)  # fmt: skip
    if done.returncode:
        raise InfraError(f"objdump cannot read code of {debug.vmlinux}: {done.errors.strip()}")
    rows = filter(None, map(_ROW.match, done.text.splitlines()))
    by_offset = {int(row[1], 16): row[2] for row in rows}
    return [by_offset.get(number * _PLACE, "") for number in range(len(spans))]


def _largest_first(held: tuple[DIE, int]) -> int:
    """Sort key: a struct page says more than a counter inside it that an inlined function got."""
    record = _plain(held[0])
    size = record.attributes.get("DW_AT_byte_size") if record is not None else None
    return -int(size.value) if size else 0


def _held(debug: Debug, address: int, register: int) -> Iterator[tuple[DIE, int]]:
    """Types that variables related to a register point to at an address.

    With each, the pointer's value minus the register's (bytes).
    """
    for scope in debug.scopes(address):
        for variable in scope.iter_children():
            target = _pointed_to(variable) if variable.tag in _VARIABLES else None
            if target is not None:
                shift = _shift(debug.dwarf, variable, address, register)
                if shift is not None:
                    yield target, shift


def _shift(dwarf: DWARFInfo, variable: DIE, address: int, register: int) -> int | None:
    """A variable's value minus a register's at an address (bytes); None if unrelated."""
    attribute = variable.attributes.get("DW_AT_location")
    if not attribute:
        return None
    if attribute.form == "DW_FORM_exprloc":  # valid in the whole scope
        return _of_register(dwarf, attribute.value, register)
    lists = dwarf.location_lists()
    parser = LocationParser(lists)
    version = variable.cu["version"]
    if not lists or not parser.attribute_has_location(attribute, version):
        return None
    base = _base(variable)
    for entry in parser.parse_from_attribute(attribute, version, variable):
        if isinstance(entry, BaseAddressEntry):
            base = entry.base_address
        elif isinstance(entry, LocationEntry):
            begin = entry.begin_offset + (0 if entry.is_absolute else base)
            end = entry.end_offset + (0 if entry.is_absolute else base)
            if begin <= address < end:
                return _of_register(dwarf, entry.loc_expr, register)
    return None


def _base(variable: DIE) -> int:
    low = variable.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
    return int(low.value) if low else 0


def _of_register(dwarf: DWARFInfo, expression: Iterable[int], register: int) -> int | None:
    """An expression's value minus the register's: 0 for the register, N for register plus N.

    None for any other expression.
    """
    operations = DWARFExprParser(dwarf.structs).parse_expr(expression)
    if not operations:
        return None
    first = operations[0]
    if len(operations) == 1 and first.op_name == f"DW_OP_reg{register}":
        return 0
    if (
        len(operations) == 2
        and first.op_name == f"DW_OP_breg{register}"
        and operations[1].op_name == "DW_OP_stack_value"
    ):
        return int(first.args[0])
    return None


def _pointed_to(variable: DIE) -> DIE | None:
    """The type that a variable points to, None if it is not a pointer."""
    named = _plain(_referred(_origin(variable), "DW_AT_type"))
    if named is None or named.tag != "DW_TAG_pointer_type":
        return None
    return _referred(named, "DW_AT_type")


def _field(target: DIE, shift: int, offset: int) -> str:
    """Name the field that ``offset(register)`` accesses, "" when there is none.

    ``shift``: the pointer's value minus the register's (bytes).
    """
    names: list[str] = []
    at = offset - shift
    for _ in range(_DEPTH):
        if name := _name(target):
            names += [name] if not names else []
        record = _plain(target)
        if record is None or record.tag not in _RECORDS:
            break
        names += [_name(record)] if not names and _name(record) else []
        member = _member(record, at)
        if member is None:
            return ""
        at -= _offset(member)
        names += [_name(member)] if _name(member) else []
        inner = _referred(member, "DW_AT_type")
        if inner is None:
            break
        target = inner
    return ".".join(names) if len(names) > 1 else ""


def _member(record: DIE, at: int) -> DIE | None:
    """The last member that begins at or before an offset; of a union the first one."""
    members = [one for one in record.iter_children() if one.tag == "DW_TAG_member"]
    before = [one for one in members if 0 <= _offset(one) <= at]
    return max(before, key=_offset, default=None)  # the first of equals


def _offset(member: DIE) -> int:
    value: Any = member.attributes.get("DW_AT_data_member_location")
    return int(value.value) if value else 0


def _plain(die: DIE | None) -> DIE | None:
    """A type without typedefs and qualifiers."""
    while die is not None and die.tag in _NAMES:
        die = _referred(die, "DW_AT_type")
    return die


def _origin(die: DIE) -> DIE:
    while "DW_AT_abstract_origin" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    return die


def _referred(die: DIE, attribute: str) -> DIE | None:
    return die.get_DIE_from_attribute(attribute) if attribute in die.attributes else None


def _name(die: DIE) -> str:
    value = die.attributes.get("DW_AT_name")
    return value.value.decode(errors="replace") if value else ""
