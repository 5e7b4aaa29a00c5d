# SPDX-License-Identifier: GPL-2.0-only
"""Which source files' accesses are watched: patterns, and what they mean by default."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mmrace.errors import UserError

# Memory management, and the callers of it that handle page tables and mappings themselves. Left
# out is what every path goes through and orders by itself: allocators and counters. They would
# take most holds.
DEFAULT = (
    "mm/*",
    "fs/exec.c",
    "!mm/slab*",
    "!mm/slub*",
    "!mm/slob*",
    "!mm/page_alloc.c",
    "!mm/percpu*",
    "!mm/vmscan.c",
    "!mm/vmstat.c",
    "!mm/memcontrol*",
    "!mm/debug*",
    "!mm/kasan/*",
    "!mm/kfence/*",
    "!mm/kmemleak*",
    "!mm/page_owner.c",
    "!mm/page_ext.c",
)


def choose_files(files: Iterable[str], patterns: Sequence[str] = DEFAULT) -> frozenset[str]:
    """Choose the files that match a pattern and none that begins with ``!``.

    UserError names a pattern that no file matches; those of the default may be in vain.
    """
    known = tuple(files)
    found: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in known if fnmatchcase(name, pattern.removeprefix("!"))}
        if not fitting and tuple(patterns) != DEFAULT:
            raise UserError(f"no source file of this kernel matches {pattern!r}; write mm/*.c")
        found = found - fitting if pattern.startswith("!") else found | fitting
    return frozenset(found)
