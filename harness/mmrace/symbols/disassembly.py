# SPDX-License-Identifier: GPL-2.0-only
"""Control flow of x86-64 machine code, read with objdump."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path

from mmrace import proc
from mmrace.errors import InfraError

_LINE = re.compile(r"^ *([0-9a-f]+):\t(.*)$")
_TARGET = re.compile(r"\b([0-9a-f]+) <([^>+]+)(\+0x[0-9a-f]+)?>")
_PREFIXES = {"bnd", "notrack", "repz", "rep", "lock", "data16", "cs", "ds", "es", "addr32", "rex.W"}


class Flow(Enum):
    """Where control goes after an instruction."""

    NEXT = auto()
    CALL = auto()
    JUMP = auto()
    BRANCH = auto()
    RETURN = auto()
    STOP = auto()


@dataclass(frozen=True)
class Insn:
    """One instruction; ``symbol`` names the function at whose first byte ``target`` is."""

    address: int
    flow: Flow
    target: int = 0
    symbol: str = ""
    next: int = 0

    @property
    def tail(self) -> bool:
        """Whether this is a jump to the first byte of a function."""
        return self.flow is Flow.JUMP and bool(self.symbol)

    @property
    def successors(self) -> tuple[int, ...]:
        """Addresses where control goes within the function.

        A call returns to the next instruction.
        """
        if self.flow in (Flow.NEXT, Flow.CALL):
            return (self.next,)
        if self.flow is Flow.JUMP:
            return (self.target,) if self.target else ()
        if self.flow is Flow.BRANCH:
            return (self.target, self.next)
        return ()


Code = dict[int, Insn]


@cache
def disassemble(vmlinux: Path, ranges: tuple[tuple[int, int], ...]) -> Code:
    """Decode address ranges; return instructions by address. InfraError when objdump fails."""
    code: Code = {}
    for low, high in ranges:
        argv = ["objdump", "-d", "-w", "--no-show-raw-insn"]
        argv += [f"--start-address={low:#x}", f"--stop-address={high:#x}", str(vmlinux)]
        done = proc.run(argv, deadline=60)
        if done.returncode:
            raise InfraError(f"objdump cannot read {vmlinux}: {done.errors.strip()}")
        rows = [match for line in done.text.splitlines() if (match := _LINE.match(line))]
        following = [*(int(row[1], 16) for row in rows[1:]), high]
        for row, after in zip(rows, following, strict=True):
            insn = decode(int(row[1], 16), row[2], after)
            code[insn.address] = insn
    return code


def decode(address: int, text: str, following: int) -> Insn:
    """Parse one line of objdump's output (AT&T syntax)."""
    words = text.split()
    while len(words) > 1 and words[0] in _PREFIXES:
        words = words[1:]
    name = words[0].partition(",")[0]  # a branch may carry a hint: jne,pt
    flow = _flow(name)
    target = _TARGET.search(text) if flow in (Flow.CALL, Flow.JUMP, Flow.BRANCH) else None
    if not target or "*" in text:
        return Insn(address, flow, next=following)
    symbol = "" if target[3] else target[2]
    if flow is Flow.JUMP and symbol.endswith("return_thunk"):
        return Insn(address, Flow.RETURN, next=following)
    if flow is Flow.JUMP and symbol.startswith("__x86_indirect"):
        return Insn(address, Flow.JUMP, next=following)
    return Insn(address, flow, int(target[1], 16), symbol, following)


def _flow(name: str) -> Flow:
    if name in ("call", "callq"):
        return Flow.CALL
    if name in ("jmp", "jmpq"):
        return Flow.JUMP
    if name.startswith(("ret", "iret", "sysret")):
        return Flow.RETURN
    if name in ("ud0", "ud1", "ud2", "hlt", "int3"):
        return Flow.STOP
    if name.startswith(("j", "loop")):
        return Flow.BRANCH
    return Flow.NEXT


def reachable(code: Code, starts: set[int], barrier: set[int]) -> set[int]:
    """Addresses that control can reach from ``starts`` without passing ``barrier``."""
    seen: set[int] = set()
    pending = [start for start in starts if start not in barrier]
    while pending:
        address = pending.pop()
        if address in seen or address not in code:
            continue
        seen.add(address)
        pending += [after for after in code[address].successors if after not in barrier]
    return seen


@dataclass(frozen=True)
class Exits:
    """Where control leaves a piece of code; ``shared``: it can get there another way too."""

    addresses: frozenset[int]
    shared: bool


def find_exits(code: Code, start: int, entry: int, inside: set[int]) -> Exits:
    """Find the first instructions after a piece of code that was inlined into a function.

    ``code``: the whole function; ``start``: its first instruction; ``inside``: addresses of the
    piece; ``entry``: the piece's first instruction. The compiler interleaves the piece with its
    surroundings: instructions before ``entry`` were hoisted and do not count, and control has left
    the piece only where it cannot return to it without passing ``entry`` again.
    """
    core = inside - reachable(code, {start}, {entry}) | {entry}
    edges = {after for at in core for after in code[at].successors if after in code} - core
    done = {after for after in edges if not reachable(code, {after}, {entry}) & core}
    done |= {at for at in core if code[at].flow is Flow.RETURN}
    comers = {after for at in set(code) - core for after in code[at].successors}
    return Exits(frozenset(done), bool(done & comers))
