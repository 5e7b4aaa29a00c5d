# SPDX-License-Identifier: GPL-2.0-only
"""Which source files' accesses are watched: patterns, and the default."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mmrace.errors import UserError

# Memory management, without allocators and counters: every path uses them, they do their own
# locking, and they would take most of the holds.
DEFAULT = (
    "mm/*",
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

# Other code that system calls reach: its accesses count only if they meet one of the above, as
# exec's accesses to a stack and its page tables do. Without code that runs under every workload.
BESIDE = (
    "arch/*/mm/*",
    "fs/*",
    "io_uring/*",
    "ipc/*",
    "kernel/*",
    "virt/*",
    "!arch/*/mm/tlb.c",
    "!kernel/bpf/*",
    "!kernel/debug/*",
    "!kernel/entry/*",
    "!kernel/irq/*",
    "!kernel/irq_work.c",
    "!kernel/kcsan/*",
    "!kernel/locking/*",
    "!kernel/printk/*",
    "!kernel/rcu/*",
    "!kernel/sched/*",
    "!kernel/smp*",
    "!kernel/softirq.c",
    "!kernel/stop_machine.c",
    "!kernel/time/*",
    "!kernel/trace/*",
    "!kernel/watchdog*",
    "!kernel/workqueue*",
)


def choose_files(files: Iterable[str], patterns: Sequence[str] = DEFAULT) -> frozenset[str]:
    """Return the files that match a pattern, without those that match a pattern with ``!``.

    Raises UserError for a pattern without a match, except for the default patterns.
    """
    known = tuple(files)
    found: set[str] = set()
    for pattern in patterns:
        fitting = {name for name in known if fnmatchcase(name, pattern.removeprefix("!"))}
        if not fitting and tuple(patterns) not in (DEFAULT, BESIDE):
            raise UserError(f"no source file of this kernel matches {pattern!r}; write mm/*.c")
        found = found - fitting if pattern.startswith("!") else found | fitting
    return frozenset(found)
