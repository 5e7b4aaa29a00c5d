# SPDX-License-Identifier: GPL-2.0-only
"""Which instructions of a kernel's source files access memory that vCPUs may share."""

import bisect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mmrace import proc
from mmrace.errors import InfraError, UserError
from mmrace.symbols.dwarf import Debug

_GAP = 1 << 16  # bytes; smaller gaps between ranges are disassembled by the same objdump
_LINE = re.compile(r"^ *([0-9a-f]+):\t(\S+)\s*(.*)$")
_MEMORY = re.compile(r"(%[c-g]s:)?[-0-9a-fx]*\(([^)]*)\)")
# String instructions call the plugin back for each element; filling a page is no useful hint.
_STRINGS = re.compile(r"^(rep|repz|repnz|stos|movs[bwlq] +%ds:|ins|outs|scas|cmps|lods)")
# These access no memory at their operand, or jump through it.
_NO_ACCESS = re.compile(
    r"^(lea|nop|prefetch|invlpg|clflush|call|jmp|ltr|lgdt|lidt|fx|xsave|xrstor)"
)


@dataclass(frozen=True)
class AccessSite:
    """An instruction that accesses memory, and the function whose code it is in.

    ``symbol``: the function's symbol with the compiler's suffix (``f.isra.0``); ``entry``: its
    address. ``next``: address of the next instruction. ``stack``: the instruction is the function's
    first push; all other sites access memory otherwise. ``beside``: its source file, if it counts
    only when it meets an access with ``beside`` empty.
    """

    address: int
    function: str
    next: int
    stack: bool = False
    symbol: str = ""
    entry: int = 0
    beside: str = ""


def list_files(debug: Debug) -> tuple[str, ...]:
    """Return the source files of a kernel's code, as ``mm/rmap.c``."""
    return tuple(sorted({name for name, _ in debug.units() if name.endswith(".c")}))


def files_of(debug: Debug, addresses: Sequence[int]) -> tuple[str, ...]:
    """Return the source file of each address's code, "" for an unknown one."""
    spans = sorted((low, high, name) for name, found in debug.units() for low, high in found)
    begins = [low for low, _, _ in spans]
    found = []
    for address in addresses:
        _, high, name = spans[max(0, bisect.bisect_right(begins, address) - 1)]
        found.append(name if address < high else "")
    return tuple(found)


def list_sites(debug: Debug, is_chosen: Callable[[str], bool]) -> tuple[AccessSite, ...]:
    """Return the sites in the chosen files, sorted; UserError when there are none."""
    ranges = sorted(
        span for name, spans in debug.units() if is_chosen(name) for span in spans if span[0]
    )
    sites = [site for span in _merged(ranges) for site in _sites(debug, span, ranges)]
    if not sites:
        raise UserError(f"{debug.vmlinux}: no code of the files chosen; widen --files")
    return tuple(sorted({site.address: site for site in sites}.values(), key=lambda s: s.address))


def _merged(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Merge ranges that are less than ``_GAP`` apart."""
    low = high = 0
    for begin, end in ranges:
        if high and begin - high > _GAP:
            yield low, high
            low = begin
        low = low or begin
        high = max(high, end)
    if high:
        yield low, high


def _sites(
    debug: Debug, span: tuple[int, int], ranges: list[tuple[int, int]]
) -> Iterator[AccessSite]:
    rows = list(_disassemble(debug.vmlinux, span))
    begins = [low for low, _ in ranges]
    function, own, entry, pushed = "", "", 0, False
    for (address, name, operands), (following, _, _) in pairwise([*rows, (span[1], "", "")]):
        if symbol := debug.symbol(address):
            function, own, entry, pushed = symbol.partition(".")[0], symbol, address, False
        at = bisect.bisect_right(begins, address) - 1
        if at < 0 or address >= ranges[at][1] or not function:
            continue
        if not pushed and name.startswith(("push", "call")):
            pushed = True
            yield AccessSite(address, function, following, True, own, entry)
        elif accesses(name, operands):
            yield AccessSite(address, function, following, False, own, entry)


def accesses(name: str, operands: str) -> bool:
    """Whether an instruction (AT&T syntax) accesses memory, except by %rsp and per-CPU data."""
    text = f"{name} {operands}".partition("#")[0]
    text = text.removeprefix("lock ")
    if _NO_ACCESS.match(text) or _STRINGS.match(text):
        return False
    found = _MEMORY.search(text)
    return found is not None and not found[1] and "%rsp" not in found[2]


def _disassemble(vmlinux: Path, span: tuple[int, int]) -> Iterator[tuple[int, str, str]]:
    argv = ["objdump", "-d", "-w", "--no-show-raw-insn"]
    argv += [f"--start-address={span[0]:#x}", f"--stop-address={span[1]:#x}", str(vmlinux)]
    done = proc.run(argv, deadline=120)
    if done.returncode:
        raise InfraError(f"objdump cannot read {vmlinux}: {done.errors.strip()}")
    for line in done.text.splitlines():
        if found := _LINE.match(line):
            yield int(found[1], 16), found[2], found[3]
