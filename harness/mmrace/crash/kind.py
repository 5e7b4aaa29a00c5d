# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of failure that a kernel reports."""

from enum import StrEnum


class Kind(StrEnum):
    """What kind of failure a report is about."""

    BUG = "kernel BUG"
    VM_BUG_ON = "VM_BUG_ON"
    OOPS = "oops"
    PAGE_FAULT = "page fault"
    NULL_POINTER = "NULL pointer dereference"
    GENERAL_PROTECTION = "general protection fault"
    DOUBLE_FAULT = "double fault"
    DIVIDE_ERROR = "divide error"
    STACK_OVERFLOW = "stack overflow"
    WARNING = "WARNING"
    LIST_CORRUPTION = "list corruption"
    BAD_PAGE_MAP = "Bad page map"
    BAD_PAGE_STATE = "Bad page state"
    BAD_RSS = "bad rss-counter"
    REFCOUNT = "refcount"
    KASAN = "KASAN"
    KMSAN = "KMSAN"
    KFENCE = "KFENCE"
    UBSAN = "UBSAN"
    KCSAN = "KCSAN"
    LOCKDEP = "lockdep"
    LOCK_BUG = "lock misuse"
    SLEEPING_IN_ATOMIC = "sleeping in atomic"
    RCU_STALL = "RCU stall"
    SOFT_LOCKUP = "soft lockup"
    HARD_LOCKUP = "hard lockup"
    WORKQUEUE_LOCKUP = "workqueue lockup"
    HUNG_TASK = "hung task"
    SLAB_CORRUPTION = "slab corruption"
    OOM_PANIC = "out-of-memory panic"
    MEMORY_LEAK = "memory leak"
    UNREGISTER_NETDEVICE = "unregister_netdevice"
    ODEBUG = "ODEBUG"
    PANIC = "panic"
    LOST_INIT = "lost init"

    @property
    def hang(self) -> bool:
        """Whether it says that something no longer makes progress."""
        return self in _HANGS

    @property
    def fatal(self) -> bool:
        """Whether the task or the machine does not go on after it."""
        return self in DIE or self in PANICS

    @property
    def sanitizer(self) -> bool:
        """Whether one of the sanitizers says it, whose reports lie between bars of ``=``."""
        return self in _SANITIZERS


# What ends in die() of an architecture: one failure may announce itself by several of these.
DIE = frozenset(
    (
        Kind.BUG,
        Kind.VM_BUG_ON,
        Kind.LIST_CORRUPTION,
        Kind.OOPS,
        Kind.PAGE_FAULT,
        Kind.NULL_POINTER,
        Kind.GENERAL_PROTECTION,
        Kind.DOUBLE_FAULT,
        Kind.DIVIDE_ERROR,
        Kind.STACK_OVERFLOW,
    )
)
PANICS = frozenset((Kind.PANIC, Kind.LOST_INIT, Kind.OOM_PANIC))
_HANGS = frozenset(
    (Kind.RCU_STALL, Kind.SOFT_LOCKUP, Kind.HARD_LOCKUP, Kind.WORKQUEUE_LOCKUP, Kind.HUNG_TASK)
)
_SANITIZERS = frozenset((Kind.KASAN, Kind.KMSAN, Kind.KCSAN, Kind.KFENCE, Kind.UBSAN))
