# SPDX-License-Identifier: GPL-2.0-only
"""Which function of a call trace says what went wrong."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mmrace.crash.bystander import (
    DISPATCHING,
    GENERAL,
    SHARED,
    SKIP,
    SKIP_BLOCKING,
    SKIP_TICKING,
    any_of,
)

_DISPATCHES = any_of(*DISPATCHING)
_GENERAL = any_of(*GENERAL)
_SYSCALL = re.compile(
    r"(?:__)?(?:(?:x64|ia32|arm64|arm|riscv|s390x?|se|do|x32)_)?(?:compat_)?(?:__)?"
    r"(?:sys|SyS|SYSC|C_SYSC|compat_SyS)_(?P<name>\w+)\Z"
)
# What all tasks wait for when one of them does not go on: it says more than who happens to wait.
_EVERYBODYS = re.compile(r"(?P<lock>rtnl_lock)|(?P<grace>synchronize)_(?:s?rcu|net|sched)")


@lru_cache(maxsize=8192)
def _fits(name: str, pattern: re.Pattern[str]) -> bool:
    return bool(pattern.match(name))


def choose(candidates: Iterable[str], skip: re.Pattern[str] = SKIP) -> str:
    """Name the function that matters, best candidates first; empty when nothing was printed."""
    names = list(candidates)
    good = [name for name in names if not _fits(name, skip)]
    for number, name in enumerate(good):
        if not SHARED.match(name) or number == len(good) - 1:
            return name
    return names[0] if names else ""


def choose_loop(names: Sequence[str], skip: re.Pattern[str] = SKIP_TICKING) -> str:
    """Name what a CPU was asked to do that does not end, innermost frame first.

    Where in a loop the tick found the CPU is chance, so the deepest function would give one
    failure many names. The first from inside that only hands on (to a system call, a file's or
    socket's method, a timer, queued work) has handed on to what is meant.
    """
    asked = ""
    for name in names:
        if asked and _fits(name, _DISPATCHES):
            break
        if not _fits(name, skip) and not any(_fits(name, p) for p in (_GENERAL, _DISPATCHES)):
            asked = name
    if call := _SYSCALL.match(asked):
        return f"sys_{call['name']}"
    return asked or choose(names, skip)


def choose_wait(names: Sequence[str], skip: re.Pattern[str] = SKIP_BLOCKING) -> str:
    """Name who waits for what does not come, or what everybody waits for."""
    for name in names:
        if known := _EVERYBODYS.match(name):
            return known["lock"] or "synchronize_rcu"
    return choose(names, skip)
