# SPDX-License-Identifier: GPL-2.0-only
"""A guest at its race's start, kept, and given anew as often as wanted.

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
from mmrace.guests.qemu import Boot, Ram
from mmrace.leftover import HELD, shared_memory, temporary_directory
from mmrace.windows.director import race_phase

# A guest that resets or powers off would take QEMU, and what it has to say, with it.
STAY = ("panic=0",)
_STAY_ON = "-no-shutdown"
_MIB = 1 << 20


class Snapshot:
    """The kept state; use as a context manager, ``boot`` it, then ``restore`` it."""

    def __init__(self, boot: Boot, folder: Path) -> None:
        self._boot = replace(boot, append=(*boot.append, *STAY))
        self._folder = folder
        self._stack = ExitStack()
        self._files: tuple[Path, ...] = ()
        self._state = b""
        self._channel = b""
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

    @property
    def current(self) -> Guest:
        """The machine that was restored last; InfraError when none was."""
        if not self._current:
            raise InfraError("no machine was restored")
        return self._current

    def boot(self, announced: bool, seconds: float) -> None:
        """Run to the race's start, and keep that state. InfraError when it is not reached."""
        boot = replace(self._boot, ram=Ram(self._files, shared=True))
        with Guest(boot, self._folder) as guest:
            _run_to_race(guest, announced, seconds)
            guest.ask("stop")
            guest.listen(0)
            self._channel = bytes(guest.channel)
            self._state = _save(guest)

    def restore(self) -> Guest:
        """Return the machine at the race's start, stopped, and end the one given before."""
        self._end()
        extra = (*self._boot.extra, _STAY_ON, "-S", "-incoming", "defer")
        boot = replace(self._boot, extra=extra, ram=Ram(self._files, shared=False))
        with ExitStack() as stack:
            guest = stack.enter_context(Guest(boot, self._folder, gdb=True))
            _load(guest, self._state)
            guest.channel.extend(self._channel)
            guest.stub.attach()
            stack.pop_all()
        self._current = guest
        return guest

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
        if time.monotonic() > end:
            raise InfraError(
                f"the race did not start in {seconds:.0f} s; last on the console: "
                f"{last_line(guest.console) or 'nothing'}"
            )
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
            raise InfraError(f"QEMU does not read its state: {error}") from error
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
