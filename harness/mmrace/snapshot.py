# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is stopped at its race's start, and taken back there as often as wanted."""

import selectors
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from mmrace import proc
from mmrace.director import race_phase
from mmrace.errors import InfraError
from mmrace.gdbstub import Stop, Stub
from mmrace.vm import START_SECONDS, Boot, accept, close_monitor, command, read

_NODE = "snapshots"
_TAG = "race"
_DISK = 8 << 30  # room for snapshots as the guest could see it; the file grows as it is written
# A guest that resets after a panic would take QEMU, and the snapshot, with it.
STAY = ("panic=0",)


class Snapshot:
    """A machine with its snapshot; use as a context manager.

    ``console`` and ``channel`` are what was said since the last ``restore``, the channel with all
    that came before the snapshot in front.
    """

    def __init__(self, boot: Boot, folder: Path) -> None:
        self._boot = replace(boot, append=(*boot.append, *STAY))
        self._folder = folder
        self._stack = ExitStack()
        self._before = b""
        self.console = bytearray()
        self.channel = bytearray()

    def __enter__(self) -> "Snapshot":
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

    def _start(self, stack: ExitStack) -> None:
        sockets = Path(tempfile.mkdtemp(prefix="mmrace-"))
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        waiting = [_listen(stack, sockets / name) for name in ("channel", "gdb")]
        self._monitor = QEMUMonitorProtocol(str(sockets / "monitor"), server=True)
        stack.callback(close_monitor, self._monitor)
        extra = ("-chardev", f"socket,id=gdb,path={sockets / 'gdb'}", "-gdb", "chardev:gdb")
        boot = replace(self._boot, extra=(*self._boot.extra, *extra))
        argv = command(boot, sockets / "channel", sockets / "monitor")
        self._child = proc.console(argv, cwd=self._folder)
        stack.callback(proc.close_console, self._child)
        try:
            self._link, debugger = (
                stack.enter_context(accept(one, self._child.isalive)) for one in waiting
            )
            self._monitor.accept(timeout=START_SECONDS)
        except (OSError, QMPError, TimeoutError) as error:
            raise InfraError(f"QEMU does not start: {error}") from error
        self.stub = Stub(debugger)

    def boot(self, announced: bool, seconds: float) -> None:
        """Run to the race's start, and keep that state. InfraError when it is not reached."""
        end = time.monotonic() + seconds
        seen = 0
        while not self._raced(seen, announced):
            seen = self.channel.rfind(b"\n") + 1
            if time.monotonic() > end:
                said = self.console.decode(errors="replace").strip().splitlines()
                raise InfraError(
                    f"the race did not start in {seconds:.0f} s; last on the console: "
                    f"{said[-1] if said else 'nothing'}"
                )
            self.listen(0.5)
        self.stub.halt()
        self.listen(0)
        self._before = bytes(self.channel)
        self._add_disk()
        self._hmp(f"savevm {_TAG}")

    def _raced(self, seen: int, announced: bool) -> bool:
        lines = bytes(self.channel[seen:]).split(b"\n")[:-1]
        return any(race_phase(line.decode(errors="replace"), announced) for line in lines)

    def restore(self) -> None:
        """Take the stopped machine back to the race's start; all that it said since is dropped."""
        self.listen(0)
        self._hmp(f"loadvm {_TAG}")
        self.listen(0)
        self.console.clear()
        self.channel[:] = self._before

    def stop(self) -> Stop:
        """Stop the running machine."""
        self.stub.interrupt()
        stop = self.stub.poll(START_SECONDS)
        if stop is None:
            raise InfraError("QEMU does not stop its vCPUs")
        return stop

    def listen(self, seconds: float) -> Stop | None:
        """Wait for the machine to say something or to stop, at most so long; the stop, if one."""
        with selectors.DefaultSelector() as selector:
            for source in (self._child.child_fd, self._link, self.stub):
                selector.register(source, selectors.EVENT_READ)
            while ready := selector.select(max(0.0, seconds)):
                seconds = 0  # read what there is, and no more
                for key, _ in ready:
                    if key.fileobj is self.stub:
                        if stop := self.stub.poll(0):
                            return stop
                        continue
                    chunk = read(key.fd)
                    if not chunk:
                        raise InfraError(f"QEMU ended: {_last_line(self.console)}")
                    (self.channel if key.fileobj is self._link else self.console).extend(chunk)
        return None

    def _add_disk(self) -> None:
        """Give the machine a disk that its guest does not see, for QEMU to keep snapshots in."""
        path = str(self._folder / "snapshots.qcow2")
        self._create({"driver": "file", "filename": path, "size": 0})
        self._cmd("blockdev-add", **{"driver": "file", "node-name": "file", "filename": path})
        self._create({"driver": "qcow2", "file": "file", "size": _DISK})
        self._cmd("blockdev-add", **{"driver": "qcow2", "node-name": _NODE, "file": "file"})

    def _create(self, options: dict[str, object]) -> None:
        self._cmd("blockdev-create", **{"job-id": "create", "options": options})
        end = time.monotonic() + START_SECONDS
        while (job := self._cmd("query-jobs")[0])["status"] != "concluded":
            if time.monotonic() > end:
                raise InfraError("QEMU does not create its scratch disk")
            time.sleep(0.01)
        self._cmd("job-dismiss", id="create")
        if "error" in job:
            raise InfraError(f"QEMU cannot create its scratch disk: {job['error']}")

    def _hmp(self, line: str) -> None:
        said = self._cmd("human-monitor-command", **{"command-line": line})
        if said:
            raise InfraError(f"QEMU's {line}: {said.strip()}")

    def _cmd(self, name: str, **arguments: object) -> Any:
        try:
            return self._monitor.cmd(name, **arguments)
        except (OSError, QMPError, TimeoutError) as error:
            raise InfraError(f"QEMU's {name}: {error}") from error


def _listen(stack: ExitStack, path: Path) -> socket.socket:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _last_line(data: bytearray) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
