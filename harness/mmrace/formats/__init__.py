# SPDX-License-Identifier: GPL-2.0-only
"""How Linux, 2.6.32 to today, announces that something went wrong: tables.

The first format whose header fits a line is the one.
"""

from mmrace.formats.base import Format, Proof, Use
from mmrace.formats.body import BODY, TAIL
from mmrace.formats.context import (
    CONSEQUENCE,
    HARMLESS,
    KIND_BY_FILE,
    NOT_A_CRASH,
    PRELUDES,
    TRIGGERS,
)
from mmrace.formats.locking import LOCKING
from mmrace.formats.memory import MEMORY
from mmrace.formats.sanitizer import SANITIZERS
from mmrace.formats.stall import STALLS
from mmrace.formats.trap import OOPSES, TRAPS
from mmrace.formats.warn import OTHERS, PANICS, WARNINGS

__all__ = [
    "BODY",
    "CONSEQUENCE",
    "FORMATS",
    "HARMLESS",
    "KIND_BY_FILE",
    "NOT_A_CRASH",
    "PRELUDES",
    "TAIL",
    "TRIGGERS",
    "Format",
    "Proof",
    "Use",
]

FORMATS: tuple[Format, ...] = (
    *SANITIZERS,
    *PANICS,
    *TRAPS,
    *MEMORY,
    *LOCKING,
    *STALLS,
    *WARNINGS,
    *OOPSES,
    *OTHERS,
)
