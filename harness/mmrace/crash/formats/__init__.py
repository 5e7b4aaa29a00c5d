# SPDX-License-Identifier: GPL-2.0-only
"""How Linux, 2.6.32 to today, announces that something went wrong: tables.

The first format whose header fits a line is the one.
"""

import re

from mmrace.crash.formats.base import Format, Proof, Use
from mmrace.crash.formats.context import (
    CONSEQUENCE,
    HARMLESS,
    KIND_BY_FILE,
    NOT_A_CRASH,
    PRELUDE,
    PRELUDES,
    TRIGGERS,
)
from mmrace.crash.formats.locking import LOCKING
from mmrace.crash.formats.memory import HEADLESS, MEMORY
from mmrace.crash.formats.sanitizer import SANITIZERS
from mmrace.crash.formats.stall import STALLS
from mmrace.crash.formats.trap import OOPSES, TRAPS
from mmrace.crash.formats.warn import OTHERS, PANICS, WARNINGS

__all__ = [
    "CONSEQUENCE",
    "FORMATS",
    "HARMLESS",
    "KIND_BY_FILE",
    "NOT_A_CRASH",
    "PRELUDE",
    "PRELUDES",
    "TABLES",
    "TRIGGERS",
    "Format",
    "Proof",
    "Use",
]

# Each table, and what a line has to have before it is worth looking the table through.
TABLES: tuple[tuple[re.Pattern[str], tuple[Format, ...]], ...] = (
    (
        re.compile(
            r"K[A-Z]+SAN|KASan|AddressSan|KFENCE|UBSAN|memory leak|unreferenced|BUG \S|[Ss]lab"
        ),
        SANITIZERS,
    ),
    (re.compile(r"[Pp]anic|PANIC"), PANICS),
    (
        re.compile(
            r"NULL|nable to handle|stack|fault|divide|ernel BUG|- BUG|bug detected|monitor event"
        ),
        TRAPS,
    ),
    (re.compile(r"Bad |non-zero|unregister_net|VFS:|Dentry"), MEMORY),
    (
        re.compile(
            r"\b(?:BUG|INFO|WARNING|DEADLOCK): .*"
            r"(?:lock|possible |usage|-unsafe|contention|chain_key|wait context|static key|MAX_"
            r"|key|subclass|sleeping|scheduling|assuming|leaked|preemptible)"
        ),
        LOCKING,
    ),
    (re.compile(r"lockup|LOCKUP|INFO: task|stall|blocked for"), STALLS),
    (re.compile(r"WARNING|unchecked"), WARNINGS),
    (
        re.compile(r"Internal error|Oops|Kernel Fault|SError|Bad mode|Unhandled|nexpected|\[#"),
        OOPSES,
    ),
    (re.compile(r"BUG|WARNING|INFO|Oops"), OTHERS),
    (re.compile(r"Redzone|Object|Padding|Bytes b4|bad_p"), HEADLESS),
)
FORMATS: tuple[Format, ...] = tuple(form for _, table in TABLES for form in table)
