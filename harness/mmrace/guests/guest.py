# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process that is held by its monitor and its gdbstub, and listened to."""

import selectors
import shutil
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from mmrace import proc
from mmrace.errors import InfraError
from mmrace.guests.gdbstub import Stop, Stub
from mmrace.guests.vm import START_SECONDS, Boot, accept, close_monitor, command, read


class Guest:
    """A started QEMU; use as a context manager.

    ``console`` and ``channel`` are what was said since its start. With ``debugged`` there is a
    gdbstub, which stops the machine when it is connected: for one that is stopped already.
    """

    def __init__(self, boot: Boot, folder: Path, *, debugged: bool) -> None:
        self._boot = boot
        self._folder = folder
        self._debugged = debugged
        self._stack = ExitStack()
        self._stub: Stub | None = None
        self.console = bytearray()
        self.channel = bytearray()

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
    def stub(self) -> Stub:
        """The gdbstub; InfraError when the machine was started without."""
        if self._stub is None:
            raise InfraError("this machine was started without a gdbstub")
        return self._stub

    def _start(self, stack: ExitStack) -> None:
        self.sockets = Path(tempfile.mkdtemp(prefix="mmrace-"))
        stack.callback(shutil.rmtree, self.sockets, ignore_errors=True)
        names = ("channel", "gdb") if self._debugged else ("channel",)
        waiting = [listen_at(stack, self.sockets / name) for name in names]
        self._monitor = QEMUMonitorProtocol(str(self.sockets / "monitor"), server=True)
        stack.callback(close_monitor, self._monitor)
        boot = self._boot
        if self._debugged:
            gdb = ("-chardev", f"socket,id=gdb,path={self.sockets / 'gdb'}", "-gdb", "chardev:gdb")
            boot = replace(boot, extra=(*boot.extra, *gdb))
        argv = command(boot, self.sockets / "channel", self.sockets / "monitor")
        self._child = proc.console(argv, cwd=self._folder)
        stack.callback(proc.close_console, self._child)
        try:
            links = [stack.enter_context(accept(one, self._child.isalive)) for one in waiting]
            self._monitor.accept(timeout=START_SECONDS)
        except (OSError, QMPError, TimeoutError) as error:
            said = "" if self._child.isalive() else last_line(read(self._child.child_fd))
            raise InfraError(f"QEMU does not start: {said or error}") from error
        self._link = links[0]
        self._stub = Stub(links[1]) if self._debugged else None

    def stop(self) -> Stop:
        """Stop the running vCPUs through the gdbstub."""
        self.stub.interrupt()
        stop = self.stub.poll(START_SECONDS)
        if stop is None:
            raise InfraError("QEMU does not stop its vCPUs")
        return stop

    def listen(self, seconds: float) -> Stop | None:
        """Wait for the machine to say something or to stop, at most so long; the stop, if one."""
        with selectors.DefaultSelector() as selector:
            for source in (self._child.child_fd, self._link, self._stub):
                if source is not None:
                    selector.register(source, selectors.EVENT_READ)
            while ready := selector.select(max(0.0, seconds)):
                seconds = 0  # read what there is, and no more
                for key, _ in ready:
                    if key.fileobj is self._stub:
                        if stop := self.stub.poll(0):
                            return stop
                        continue
                    chunk = read(key.fd)
                    if not chunk:
                        raise InfraError(f"QEMU ended: {last_line(self.console)}")
                    (self.channel if key.fileobj is self._link else self.console).extend(chunk)
        return None

    def ask(self, name: str, **arguments: object) -> Any:
        """Execute a command of QEMU's monitor; InfraError when it refuses."""
        try:
            return self._monitor.cmd(name, **arguments)
        except (OSError, QMPError, TimeoutError) as error:
            raise InfraError(f"QEMU's {name}: {error}") from error


def listen_at(stack: ExitStack, path: Path) -> socket.socket:
    """Listen on a socket that QEMU connects to."""
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(1)
    return listener


def last_line(data: bytes | bytearray) -> str:
    """What was said last, for messages."""
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
