# SPDX-License-Identifier: GPL-2.0-only
"""A guest from its start to its end: deadlines, and what the caller wants to know meanwhile."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.guests.guest import Guest, Heard, StartError
from mmrace.guests.patience import Patience
from mmrace.guests.printk import is_over, messages
from mmrace.guests.qemu import Boot
from mmrace.outcome import VmEnd

LINE_CAP = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Deadlines in seconds: to the workload's start, without progress after it, for it all.

    ``stall``: without a word before the workload's start, time without a CPU not counted.
    """

    boot: float = 90
    stall: float = 60
    silence: float = 60
    total: float = 1800


@dataclass
class Hooks:
    """What the caller wants to know while the machine runs.

    ``line`` gets each line of the result channel, and returns what is to be written to the guest
    on it, if anything. ``pause`` says after them whether the machine has to be stopped and let go
    on. ``failing`` looks at each piece of console output and says whether a kernel failure has
    been seen: the machine is then given ``grace`` seconds to print the rest, less where it prints
    nothing for ``quiet`` seconds.
    """

    line: Callable[[str], bytes | None] = lambda _line: None
    pause: Callable[[], bool] = lambda: False
    failing: Callable[[bytes], bool] = lambda _data: False
    grace: float = 3.0
    quiet: float = 1.0


@dataclass(frozen=True)
class Ended:
    """How the machine ended, when (seconds since QEMU's start), and what QEMU said.

    ``notes``: logs that were cut off.
    """

    end: VmEnd
    seconds: float
    message: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class _Watch:
    """What has been seen so far, and which deadline follows from it."""

    limits: Limits
    begun: float
    started: bool = False
    progress: float = 0
    failing: float | None = None
    printed: float = 0
    partial: bytes = b""
    patience: Patience = field(default_factory=Patience)
    tail: bytes = b""

    def console(self, chunk: bytes) -> None:
        """A kernel whose panic is over prints nothing more, and need not reboot."""
        if chunk:
            self.printed = time.monotonic()
        if self.failing is None and is_over(self.tail + chunk):
            self.failing = time.monotonic()
        self.tail = chunk[-64:]

    def channel(self, chunk: bytes, hooks: Hooks) -> bytes:
        """Read the channel's next bytes; returns the hook's answers to its lines."""
        answers = b""
        *lines, rest = (self.partial + chunk).split(b"\n")
        self.partial = rest[:LINE_CAP]
        for raw in lines:
            line = raw.decode(errors="replace").rstrip("\r")
            if line.startswith("# start"):
                self.started = True
            if not line.startswith(("# count", "# note", "# window")):
                self.progress = time.monotonic()
            answers += hooks.line(line) or b""
        return answers

    def expiry(self, hooks: Hooks) -> tuple[float, VmEnd]:
        """When to give up, and what that would mean."""
        if self.failing is not None:
            quiet = max(self.failing, self.printed) + hooks.quiet
            return min(self.failing + hooks.grace, quiet), VmEnd.STOPPED
        if not self.started:
            stalled = time.monotonic() + self.limits.stall - self.patience.silence
            return min(
                (stalled, VmEnd.BOOT_STALL), (self.begun + self.limits.boot, VmEnd.BOOT_TIMEOUT)
            )
        silent = self.progress + self.limits.silence, VmEnd.SILENT
        return min(silent, (self.begun + self.limits.total, VmEnd.TIMEOUT))


def run_vm(boot: Boot, folder: Path, limits: Limits, hooks: Hooks) -> tuple[Ended, tuple[str, ...]]:
    """Boot a machine and see it to its end; logs go to ``folder``.

    Returns how it ended and QEMU's argv. A QEMU that does not come up is an end as well;
    InfraError when there is none. Whatever happens, no process is left.
    """
    guest = Guest(boot, folder)
    with ExitStack() as stack:
        for log in guest.logs:
            stack.callback(log.save, folder)
        try:
            stack.enter_context(guest)
        except StartError as error:
            return Ended(VmEnd.QEMU_DIED, guest.seconds, error.message), guest.argv
        end = _pump(guest, _Watch(limits, guest.begun, patience=Patience(guest.pid)), hooks)
        seconds = guest.seconds
        message = ""
        if end is None:
            end = guest.reason()
        elif end is not VmEnd.STOPPED:
            (folder / "registers.txt").write_text(guest.registers(), encoding="utf-8")
            if not guest.console and boot.log:
                guest.logs[0].write(messages(guest.memory(boot.log.address, boot.log.size)))
        if end is VmEnd.QEMU_DIED:
            message = f"QEMU ended with status {guest.end()}"
        notes = tuple(note for log in guest.logs for note in log.notes)
        return Ended(end, seconds, message, notes), guest.argv


def _pump(guest: Guest, watch: _Watch, hooks: Hooks) -> VmEnd | None:
    """Listen until QEMU closes its terminal (None) or a deadline passes."""
    heard = Heard()
    while not heard.ended:
        watch.patience.look()
        expiry, meaning = watch.expiry(hooks)
        left = expiry - time.monotonic()
        if left <= 0:
            return meaning
        heard = guest.hear(min(left, 1.0))
        if heard != Heard():
            watch.patience.note_output()
        watch.console(heard.console)
        if heard.console and hooks.failing(heard.console) and watch.failing is None:
            watch.failing = time.monotonic()
        if heard.channel:
            answer = watch.channel(heard.channel, hooks)
            if answer and not heard.ended:
                guest.say(answer)
            if hooks.pause() and not heard.ended:
                guest.pause()
    return None
