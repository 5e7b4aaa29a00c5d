# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: started in its sandbox, controlled and read through sockets, ended.

Nothing else in mmrace starts QEMU.
"""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.guests.gdbstub import Stop, Stub
from mmrace.guests.log import Log
from mmrace.guests.qemu import Boot, Ports, address_space, command
from mmrace.leftover import HELD, shared_memory, temporary_directory
from mmrace.outcome import VmEnd

START_SECONDS = 20
MONITOR_SECONDS = 20
_ENDS = {"guest-shutdown": VmEnd.EXITED, "guest-reset": VmEnd.RESET}


class StartError(InfraError):
    """QEMU ended, or did not connect, before the machine was there."""


@dataclass(frozen=True)
class Heard:
    """What one wait brought: bytes of both logs, a stop of the vCPUs, QEMU's end."""

    console: bytes = b""
    channel: bytes = b""
    stop: Stop | None = None
    ended: bool = False


class Guest:
    """A started QEMU; use as a context manager, after which no process is left.

    Where bubblewrap works it has no capability, no network and no device but KVM; it sees the
    system's programs, its inputs, and ``folder``, which it can write to. With ``gdb`` there is
    a gdbstub, which stops the machine when it is connected: for one that is stopped already.
    ``past``: seconds that the machine has lived before, in another QEMU. StartError when QEMU
    does not come up, with its last words.
    """

    def __init__(self, boot: Boot, folder: Path, *, gdb: bool = False, past: float = 0.0) -> None:
        self._boot = boot
        self._folder = folder.absolute()
        self._gdb = gdb
        self._stack = ExitStack()
        self._stub: Stub | None = None
        self.argv: tuple[str, ...] = ()
        self.begun = time.monotonic() - past
        self.logs = Log("console", self.begun), Log("channel", self.begun)

    def __enter__(self) -> "Guest":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def console(self) -> bytearray:
        """What the kernel printed since QEMU's start."""
        return self.logs[0].data

    @property
    def channel(self) -> bytearray:
        """What PID 1 reported since QEMU's start."""
        return self.logs[1].data

    @property
    def seconds(self) -> float:
        """Seconds that the machine has lived."""
        return time.monotonic() - self.begun

    @property
    def pid(self) -> int:
        """The process that QEMU is, or is below."""
        return int(self._child.pid)

    @property
    def stub(self) -> Stub:
        """The gdbstub; InfraError when the machine was started without."""
        if self._stub is None:
            raise InfraError("this machine was started without a gdbstub")
        return self._stub

    def _start(self, stack: ExitStack) -> None:
        self.sockets = stack.enter_context(temporary_directory(shared_memory(), HELD))
        ports = Ports(*(self.sockets / name for name in ("channel", "monitor")))
        if self._gdb:
            ports = Ports(ports.channel, ports.monitor, self.sockets / "gdb")
        waiting = [listen_at(stack, path) for path in (ports.channel, ports.gdb) if path]
        self._monitor = QEMUMonitorProtocol(str(ports.monitor), server=True)
        stack.callback(_close_monitor, self._monitor)
        self.argv = tuple(command(self._boot, ports))
        self._child = self._spawn()
        stack.callback(proc.close_console, self._child)
        try:
            links = [stack.enter_context(accept(one, self._child.isalive)) for one in waiting]
            self._monitor.accept(timeout=START_SECONDS)
            self._monitor.settimeout(MONITOR_SECONDS)
        except (OSError, QMPError, TimeoutError) as error:
            self.logs[0].write(_drain(self._child.child_fd))
            message = last_line(self.console) or str(error)
            raise StartError(f"QEMU does not start: {message}") from error
        self._link = links[0]
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._selector.register(self._child.child_fd, selectors.EVENT_READ)
        self._selector.register(self._link, selectors.EVENT_READ)
        if self._gdb:
            self._stub = Stub(links[1])
            self._selector.register(self._stub, selectors.EVENT_READ)

    def _spawn(self) -> Any:
        boot = self._boot
        memory = {path.parent for path in boot.ram.files} if boot.ram else ()
        return proc.console(
            self.argv,
            cwd=self._folder,
            memory=address_space(boot.machine),
            writable=(self._folder, self.sockets, *memory, *boot.writable),
            readable=(boot.kernel.absolute(), boot.initrd.absolute(), *boot.readable),
        )

    def hear(self, seconds: float) -> Heard:
        """Wait for the machine to say something, to stop or to end, at most so long."""
        console = channel = b""
        stop, ended = None, False
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._stub:
                stop = self.stub.poll(0)
                continue
            chunk = _read(key.fd)
            if key.fileobj is self._link:
                channel = self.logs[1].write(chunk)
                if not chunk:
                    self._selector.unregister(self._link)
            else:
                console = self.logs[0].write(chunk)
                ended = not chunk
        if ended:
            channel += self.logs[1].write(_drain(self._link.fileno()))
        return Heard(console, channel, stop, ended)

    def listen(self, seconds: float) -> Stop | None:
        """Read all that the machine says until it is silent; returns at a stop of the vCPUs.

        Waits at most so long for the first of it. InfraError when QEMU ends.
        """
        while (heard := self.hear(seconds)) != Heard():
            if heard.ended:
                raise InfraError(f"QEMU ended: {last_line(self.console) or 'it printed nothing'}")
            if heard.stop:
                return heard.stop
            seconds = 0
        return None

    def say(self, data: bytes) -> None:
        """Write to the guest on the result channel; one that does not read loses it."""
        with suppress(OSError):
            self._link.send(data, socket.MSG_DONTWAIT)

    def stop(self) -> Stop:
        """Stop the running vCPUs through the gdbstub."""
        self.stub.interrupt()
        stop = self.stub.poll(START_SECONDS)
        if stop is None:
            raise InfraError("QEMU does not stop its vCPUs")
        return stop

    def pause(self) -> None:
        """Stop the machine and let it go on; InfraError when QEMU does not say that it has."""
        try:
            self._monitor.cmd("stop")
            self._monitor.cmd("cont")
        except TimeoutError as error:
            raise InfraError("QEMU does not answer on its monitor") from error
        except (QMPError, OSError):
            return  # QEMU is gone, as its terminal will say

    def ask(self, name: str, **arguments: object) -> Any:
        """Execute a command of QEMU's monitor; InfraError when it refuses."""
        try:
            return self._monitor.cmd(name, **arguments)
        except (OSError, QMPError, TimeoutError) as error:
            raise InfraError(f"QEMU's {name}: {error}") from error

    def registers(self) -> str:
        """Registers of all vCPUs of a machine that hangs, for people."""
        try:
            text = self.ask("human-monitor-command", **{"command-line": "info registers -a"})
        except InfraError as error:
            return f"QEMU's monitor did not answer: {error.message}\n"
        return str(text)

    def memory(self, address: int, size: int) -> bytes:
        """Guest memory at a virtual address of the first vCPU; nothing where it cannot be read."""
        dump = self._folder / "memory.raw"
        try:
            # QMP's integers are signed, the kernel's addresses are in their upper half.
            signed = address - (1 << 64) if address >> 63 else address
            self.ask("memsave", val=signed, size=size, filename=str(dump))
            return dump.read_bytes()
        except (InfraError, OSError):
            return b""
        finally:
            dump.unlink(missing_ok=True)

    def reason(self) -> VmEnd:
        """Why QEMU closed its terminal, from the SHUTDOWN event that it sent before."""
        for event in self._events():
            if event.get("event") == "SHUTDOWN":
                data = event.get("data")
                reason = data.get("reason", "") if isinstance(data, dict) else ""
                return _ENDS.get(str(reason), VmEnd.QEMU_DIED)
        return VmEnd.QEMU_DIED

    def _events(self) -> Iterator[Mapping[str, object]]:
        """Yield the monitor's events while it is connected; a pause leaves some in it."""
        with suppress(QMPError, OSError, TimeoutError):
            while event := self._monitor.pull_event(0.5):
                yield event

    def interact(self) -> None:
        """Connect the console with this process's terminal until QEMU ends, or Ctrl-]."""
        self._child.interact()

    def end(self) -> int | None:
        """End QEMU, if it has not; returns its exit code, None after a signal."""
        return proc.close_console(self._child)


def accept(listener: socket.socket, alive: Callable[[], bool]) -> socket.socket:
    """Wait for QEMU to connect, as long as it lives."""
    listener.settimeout(0.1)
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            if not alive() or time.monotonic() > end:
                raise


def listen_at(stack: ExitStack, path: Path) -> socket.socket:
    """Listen on a socket that QEMU connects to."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(1)
    return listener


def last_line(data: bytes | bytearray) -> str:
    """What was said last, for messages; empty when nothing was."""
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _read(fd: int) -> bytes:
    """What a descriptor has to read; nothing when its other side is gone."""
    try:
        return os.read(fd, 65536)
    except OSError:  # a terminal whose other side is closed answers EIO
        return b""


def _drain(fd: int) -> bytes:
    """Read what is there without waiting."""
    collected = b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while selector.select(0.2):
            chunk = _read(fd)
            if not chunk:
                break
            collected += chunk
    return collected


def _close_monitor(monitor: QEMUMonitorProtocol) -> None:
    """End the connection, whatever is left of it."""
    with suppress(QMPError, OSError, EOFError):
        monitor.close()
