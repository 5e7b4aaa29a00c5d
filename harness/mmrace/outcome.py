# SPDX-License-Identifier: GPL-2.0-only
"""What one run of a kernel showed."""

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """Outcome of one run; the words are those of the command line and of the JSON."""

    CRASH = "CRASH"
    FAIL = "FAIL"
    HANG = "HANG"
    PASS = "PASS"  # noqa: S105
    NOT_EXERCISED = "NOT_EXERCISED"
    INFEASIBLE = "INFEASIBLE"
    INFRA = "INFRA"

    @property
    def exit_code(self) -> int:
        """Exit code of a command that made only this run."""
        return _EXIT[self]

    @property
    def failed(self) -> bool:
        """Whether the kernel, not mmrace, did something wrong."""
        return self in (Outcome.CRASH, Outcome.FAIL, Outcome.HANG)


_EXIT = {
    Outcome.PASS: 0,
    Outcome.CRASH: 1,
    Outcome.FAIL: 1,
    Outcome.HANG: 1,
    Outcome.NOT_EXERCISED: 3,
    Outcome.INFEASIBLE: 3,
    Outcome.INFRA: 69,
}


class VmEnd(StrEnum):
    """How a virtual machine came to its end, as the harness saw it."""

    EXITED = "EXITED"  # the guest powered off
    RESET = "RESET"  # the guest rebooted (panic=-1 under -no-reboot)
    SILENT = "SILENT"  # no progress on the result channel for the workload's stated time
    TIMEOUT = "TIMEOUT"  # the cap on the whole run
    BOOT_STALL = "BOOT_STALL"  # it had a CPU and said nothing before the workload's start
    BOOT_TIMEOUT = "BOOT_TIMEOUT"  # the workload never started
    STOPPED = "STOPPED"  # the harness ended it: the console already showed the failure
    QEMU_DIED = "QEMU_DIED"


@dataclass(frozen=True)
class WindowCount:
    """How often a window's hold point was reached (``hits``) and its partner came (``met``).

    ``by``: who held, ``director`` or ``kprobe``.
    """

    name: str
    hits: int
    met: int
    timeouts: int = 0
    by: str = "director"


@dataclass(frozen=True)
class Judgement:
    """What the judge reads out of one run directory.

    ``seconds_to_failure`` counts from the workload's start to the first byte of the failure, on
    the host's clock; ``exercised`` maps a counter's name to (count, min count). ``stressed`` is
    the guest time in the race phase, in seconds: to the end, or to the failure; None if not known.
    """

    outcome: Outcome
    title: str = ""
    signature_matched: bool = False
    seconds_to_failure: float | None = None
    exercised: dict[str, tuple[int, int]] = field(default_factory=dict)
    windows: tuple[WindowCount, ...] = ()
    notes: tuple[str, ...] = ()
    stressed: float | None = None
