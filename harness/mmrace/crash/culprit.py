# SPDX-License-Identifier: GPL-2.0-only
"""Which function of a call trace says what went wrong."""

import re
from collections.abc import Iterable, Sequence

from mmrace.crash.helpers import (
    DISPATCHES,
    FAULTS,
    GENERAL,
    PLUMBING,
    SHARED,
    SKIP,
    SKIP_BLOCKING,
    SKIP_TICKING,
    Names,
)

_SYSCALL = re.compile(
    r"(?:__)?(?:(?:x64|ia32|arm64|arm|riscv|s390x?|se|do|x32)_)?(?:compat_)?(?:__)?"
    r"(?:sys|SyS|SYSC|C_SYSC|compat_SyS)_(?P<name>\w+)\Z"
)
# What all tasks wait for when one of them does not go on: it says more than the waiting task.
_EVERYBODYS = re.compile(
    r"_*(?:(?P<lock>rtnl_lock)\Z|(?P<grace>synchronize_(?:s?rcu|net|sched)|rcu_barrier))"
)
# A CPU that waits for all others to answer an IPI loops because of one of them.
_ANSWERS = re.compile(r"_*(?:smp_call_function(?!\w*(?:interrupt|queue))\w*|on_each_cpu\w*)\Z")


def choose(candidates: Iterable[str], skip: Names = SKIP) -> str:
    """Name the function to blame, best candidates first; empty when all are helpers."""
    shared = ""
    for name in candidates:
        if name in skip:
            continue
        if name not in SHARED:
            return name
        shared = shared or name
    return shared


def innermost(candidates: Iterable[str]) -> str:
    """Name the first function that did anything, helper or not."""
    return next((name for name in candidates if name not in PLUMBING), "")


def choose_loop(names: Sequence[str], skip: Names = SKIP_TICKING) -> str:
    """Name what a CPU was asked to do that does not end, innermost frame first.

    Where in a loop the tick found the CPU is chance, so the deepest function would give one
    failure many names. The first from inside that only hands on (to a system call, a file's or
    socket's method, a timer, queued work) has handed on to what is meant. A page fault inside a
    system call belongs to that call.
    """
    requester = faulting = ""
    for name in names:
        if _ANSWERS.match(name):
            return "smp_call_function"
        if name in FAULTS:
            requester, faulting = "", faulting or requester
        elif requester and name in DISPATCHES:
            break
        elif not (name in skip or name in GENERAL or name in DISPATCHES):
            requester = name
    requester = requester or faulting
    if call := _SYSCALL.match(requester):
        return f"sys_{call['name']}"
    return requester or choose(names, skip)


def choose_wait(names: Sequence[str], skip: Names = SKIP_BLOCKING) -> str:
    """Name the task that waits in vain, or what all waiting tasks wait for."""
    for name in names:
        if known := _EVERYBODYS.match(name):
            return known["lock"] or "synchronize_rcu"
    return choose(names, skip)
