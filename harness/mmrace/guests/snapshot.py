# SPDX-License-Identifier: GPL-2.0-only
"""A snapshot of a guest at its race's start, restored as often as wanted.

The guest boots with its memory in files. At the race's start QEMU writes out the state of vCPUs
and devices as it does to migrate, without the memory. Each restore is a QEMU of its own that reads
that state and maps the same files copy-on-write: nothing is copied, and nothing of a crash stays.
"""

import os
import shutil
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from mmrace.definitions.machine import Machine
from mmrace.errors import InfraError
from mmrace.guests.guest import START_SECONDS, Guest, accept, last_line, listen_at
from mmrace.guests.log import Log
from mmrace.guests.printk import is_over
from mmrace.guests.qemu import Boot, Ram
from mmrace.leftover import HELD, shared_memory, temporary_directory
from mmrace.windows.director import race_phase

# A guest that resets or powers off would take QEMU, and what it has to say, with it.
STAY = ("panic=0",)
_STAY_ON = "-no-shutdown"
_MIB = 1 << 20
_LAST_WORDS = 0.2  # seconds without output: console and channel arrive by two sockets


class NotReachedError(InfraError):
    """The machine did not come to its race's start."""


class Snapshot:
    """The kept state; use as a context manager, ``boot`` it, then ``restore`` it."""

    def __init__(self, boot: Boot, folder: Path) -> None:
        self._boot = replace(boot, append=(*boot.append, *STAY))
        self._folder = folder
        self._stack = ExitStack()
        self._files: tuple[Path, ...] = ()
        self._state = b""
        self._past: tuple[Log, ...] = ()
        self._age = 0.0
        self.argv: tuple[str, ...] = ()
        self._current: Guest | None = None

    def __enter__(self) -> "Snapshot":
        with ExitStack() as stack:
            self._files = _memory(stack, self._boot.machine, self._folder)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._stack.close()

    def boot(self, announced: bool, seconds: float) -> None:
        """Run to the race's start, and keep that state; NotReachedError when it is not reached."""
        boot = replace(self._boot, ram=Ram(self._files, shared=True))
        with Guest(boot, self._folder) as guest:
            self._past = guest.logs
            self.argv = guest.argv
            try:
                _run_to_race(guest, announced, seconds)
            finally:
                self._age = guest.seconds
            guest.ask("stop")
            guest.listen(_LAST_WORDS)
            self._age = guest.seconds
            self._state = _save(guest)

    def restore(self) -> Guest:
        """Return the machine at the race's start, stopped, and end the one given before.

        What its channel has said contains what it said before; its console is only its own.
        """
        self._end()
        extra = (*self._boot.extra, _STAY_ON, "-S", "-incoming", "defer")
        boot = replace(self._boot, extra=extra, ram=Ram(self._files, shared=False))
        with ExitStack() as stack:
            guest = Guest(boot, self._folder, gdb=True, past=self._age)
            guest.logs = guest.logs[0], self._past[1].continued(guest.begun)
            stack.enter_context(guest)
            _load(guest, self._state)
            guest.stub.attach()
            stack.pop_all()
        self._current = guest
        return guest

    @property
    def seconds(self) -> float:
        """Seconds that the machine has lived: until the race's start, and since it was restored."""
        return self._current.seconds if self._current else self._age

    @property
    def since(self) -> int:
        """Bytes of the console that came before the race's start."""
        return len(self._past[0].data)

    def save(self, folder: Path) -> None:
        """Write the logs of the machine's whole life, up to where it was restored last."""
        console, channel = (log.continued(0.0) for log in self._past)
        if self._current:
            console.append(self._current.logs[0])
            channel = self._current.logs[1]
        console.save(folder)
        channel.save(folder)

    def _end(self) -> None:
        if self._current:
            self._current.__exit__(None, None, None)
            self._current = None


def _memory(stack: ExitStack, machine: Machine, spare: Path) -> tuple[Path, ...]:
    """Files for the nodes' memory, which QEMU maps; gone at the end.

    They are in memory themselves where there is room: containers often have 64 MiB in /dev/shm.
    """
    top = shared_memory()
    if shutil.disk_usage(top).free < machine.memory * _MIB:
        top = spare
    folder = stack.enter_context(temporary_directory(top, HELD))
    files = []
    for number, node in enumerate(machine.node):
        files.append(folder / f"node{number}")
        with open(files[-1], "xb", opener=partial(os.open, mode=0o600)) as file:
            file.truncate(node.memory * _MIB)
    return tuple(files)


def _run_to_race(guest: Guest, announced: bool, seconds: float) -> None:
    end = time.monotonic() + seconds
    seen = 0
    while not _raced(guest.channel[seen:], announced):
        seen = guest.channel.rfind(b"\n") + 1
        panicked = is_over(guest.console)
        if panicked or time.monotonic() > end:
            when = "before the kernel panicked" if panicked else f"in {seconds:.0f} s"
            last = last_line(guest.console) or "nothing"
            raise NotReachedError(f"the race did not start {when}; last on the console: {last}")
        guest.listen(0.5)


def _raced(data: bytes | bytearray, announced: bool) -> bool:
    lines = data.split(b"\n")[:-1]
    return any(race_phase(line.decode(errors="replace"), announced) for line in lines)


def _save(guest: Guest) -> bytes:
    """All state but the memory in files, as QEMU's migration stream."""
    _leave_memory(guest)
    with ExitStack() as stack:
        listener = listen_at(stack, guest.sockets / "state")
        guest.ask("migrate", uri=f"unix:{guest.sockets / 'state'}")
        link = stack.enter_context(accept(listener, lambda: True))
        state = b"".join(iter(lambda: link.recv(1 << 16), b""))
    _migrated(guest)
    return state


def _load(guest: Guest, state: bytes) -> None:
    _leave_memory(guest)
    guest.ask("migrate-incoming", uri=f"unix:{guest.sockets / 'state'}")
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(guest.sockets / "state"))
            link.sendall(state)
        except OSError as error:
            raise InfraError(f"QEMU cannot read the saved state: {error}") from error
    _migrated(guest)


def _leave_memory(guest: Guest) -> None:
    capability = {"capability": "x-ignore-shared", "state": True}
    guest.ask("migrate-set-capabilities", capabilities=[capability])


def _migrated(guest: Guest) -> None:
    """Wait for the end of a migration, InfraError when it is not a good one."""
    end = time.monotonic() + START_SECONDS
    while (status := guest.ask("query-migrate").get("status")) != "completed":
        if status in ("failed", "cancelled") or time.monotonic() > end:
            raise InfraError(f"QEMU's state of vCPUs and devices: {status}")
        time.sleep(0.002)
