# SPDX-License-Identifier: GPL-2.0-only
"""Windows that a module in the guest keeps by kprobes, where no director can hold vCPUs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.outcome import WindowCount
from mmrace.symbols.unprobeable import Unprobeable
from mmrace.windows.plan import Plan, PlannedWindow

BY = "kprobe"
LONGEST = 10.0  # milliseconds, LONGEST_US in qemu/kprobe-delay/delay.c
_WINDOWS, _ADDRESSES = 16, 64  # WINDOWS and PLACES there

# PID 1 reports about once a second; a kernel that panics prints the last counts on its console.
_TOLD = re.compile(rb"^# window (\S+) (\d+) (\d+) (\d+)\r*$", re.MULTILINE)
_LAST_WORD = re.compile(rb"mmrace_delay: window (\S+) (\d+) (\d+) (\d+)\r*$", re.MULTILINE)


@dataclass(frozen=True)
class Delay:
    """The module for one kernel, and the windows that it is given."""

    plan: Plan
    module: Path

    def lines(self) -> tuple[str, ...]:
        """One for each window, as the module reads it."""
        return tuple(_line(item) for item in self.plan.windows)

    def counts(self, channel: bytes, console: bytes) -> tuple[WindowCount, ...]:
        """Hits and meetings by window, as far as the guest reported them."""
        counts: dict[str, tuple[int, int, int]] = {}
        for match in _matches(channel, console):
            name = match[1].decode(errors="replace")
            hits, met, timeouts = counts.get(name, (0, 0, 0))
            counts[name] = (
                max(hits, int(match[2])),
                max(met, int(match[3])),
                max(timeouts, int(match[4])),
            )
        names = [item.window.name for item in self.plan.windows]
        return tuple(WindowCount(name, *counts.get(name, (0, 0, 0)), by=BY) for name in names)


def delay_for(plan: Plan, module: Path, unprobeable: Unprobeable) -> Delay:
    """Return what steers a run by kprobes; UserError names what cannot be had that way."""
    if plan.delays:
        raise UserError("random delays need the director; say --steer-by director")
    if len(plan.windows) > _WINDOWS:
        raise UserError(
            f"{len(plan.windows)} windows; kprobes keep {_WINDOWS}, the director any number"
        )
    addresses: set[int] = set()
    for item in plan.windows:
        if item.window.timeout > LONGEST:
            raise UserError(
                f"window {item.window.name}: a timeout of {item.window.timeout:g} ms;"
                f" by kprobe {LONGEST:g} ms at most"
            )
        for point in (item.hold, item.until):
            unprobeable.check(point)
            addresses.update(point.addresses)
    if len(addresses) > _ADDRESSES:
        raise UserError(
            f"{len(addresses)} addresses; kprobes hold {_ADDRESSES}, the director any number"
        )
    return Delay(plan, module)


def _line(item: PlannedWindow) -> str:
    holds, untils = (
        ",".join(f"{address:x}" for address in point.addresses) for point in (item.hold, item.until)
    )
    microseconds = max(1, round(item.window.timeout * 1000))
    millionths = round(item.window.probability * 1_000_000)
    return f"{item.window.name} {microseconds} {millionths} {holds} {untils}"


def _matches(channel: bytes, console: bytes) -> Iterator[re.Match[bytes]]:
    yield from _TOLD.finditer(channel)
    yield from _LAST_WORD.finditer(console)
