# SPDX-License-Identifier: GPL-2.0-only
"""The System.map of a kernel of which only the vmlinux is at hand."""

import struct
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_FILE, _SECTION = 4, 3  # STT_FILE, STT_SECTION: not the name of anything in memory
_LOCAL, _WEAK = 0, 2  # STB_LOCAL, STB_WEAK
_RESERVED = 0xFF00  # SHN_LORESERVE: from here on an index is of no section
_ABSOLUTE = 0xFFF1  # SHN_ABS


def system_map(vmlinux: Path) -> str:
    """Return what scripts/mksysmap writes for a vmlinux: a line for each symbol, by address.

    A line is the address, the kind as nm(1) has it, and the name; code without a name of its own
    (``.L``) and mapping symbols (``$``) are left out. "" for a stripped one. Raises OSError, and
    pyelftools' ELFError where the file is no whole ELF file.
    """
    with vmlinux.open("rb") as file:
        elf = ELFFile(file)
        table, strings = (elf.get_section_by_name(name) for name in (".symtab", ".strtab"))
        if not table or not strings:
            return ""
        kinds = [_kind(section) for section in elf.iter_sections()]
        text = strings.data()
        found = []
        for at, info, _, section, address, _ in _SYMBOL.iter_unpack(table.data()):
            name = text[at : text.index(b"\0", at)].decode(errors="replace")
            if info & 15 in (_FILE, _SECTION) or not section or name[:1] in ("", "$"):
                continue
            if name.startswith(".L") or (section >= _RESERVED and section != _ABSOLUTE):
                continue
            kind = kinds[section] if section < len(kinds) else "A"
            if info >> 4 == _WEAK:
                kind = "W" if kind == "T" else "V"
            found.append((address, kind.lower() if info >> 4 == _LOCAL else kind, name))
    return "".join(f"{address:016x} {kind} {name}\n" for address, kind, name in sorted(found))


def _kind(section: object) -> str:
    flags, kind = section["sh_flags"], section["sh_type"]  # type: ignore[index]
    if flags & SH_FLAGS.SHF_EXECINSTR:
        return "T"
    if kind == "SHT_NOBITS":
        return "B"
    return "D" if flags & SH_FLAGS.SHF_WRITE else "R"
