# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU virtual machine: its command line, its console, its result channel, its end."""

import os
import re
import selectors
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from mmrace import proc
from mmrace.definitions.machine import Machine
from mmrace.errors import InfraError
from mmrace.guests.patience import Patience
from mmrace.guests.printk import LogBuffer, early_console, is_over, messages
from mmrace.outcome import VmEnd

QEMU = "qemu-system-x86_64"
LOG_CAP = 64 * 1024 * 1024
LINE_CAP = 64 * 1024
START_SECONDS = 20
MONITOR_SECONDS = 20
# Of QEMU's address space, beside the guest's memory and copies of it: code, stacks, libraries.
OWN_MEMORY = 8 << 30


@dataclass(frozen=True)
class Limits:
    """Deadlines in seconds: to the workload's start, without progress after it, for it all.

    ``stall``: without a word before the workload's start, time without a CPU not counted.
    """

    boot: float = 90
    stall: float = 60
    silence: float = 60
    total: float = 1800


@dataclass(frozen=True)
class Ram:
    """Files that hold the guest's memory, one a node; ``shared``: what it writes goes there."""

    files: tuple[Path, ...]
    shared: bool


@dataclass(frozen=True)
class Boot:
    """What to start: machine, kernel, initramfs, kernel command line, accelerator.

    ``ram``: memory in files, of which a snapshot is made; else QEMU's own. ``writable``: files
    that QEMU writes to beside its own, which are not kept from it. ``log``: where the kernel
    keeps its messages, read when none of them came to the console.
    """

    machine: Machine
    kernel: Path
    initrd: Path
    append: tuple[str, ...]
    accel: str
    extra: tuple[str, ...] = ()
    qemu: str = QEMU
    ram: Ram | None = None
    writable: tuple[Path, ...] = ()
    log: LogBuffer | None = None


@dataclass
class Hooks:
    """What the caller wants to know while the machine runs.

    ``line`` gets each line of the result channel, and returns what is to be written to the guest
    on it, if anything. ``pause`` says after them whether the machine has to be stopped and let go
    on. ``failing`` looks at each piece of console output and says
    whether it shows a kernel failure: the machine is then given ``grace`` seconds to print the
    rest.
    """

    line: Callable[[str], bytes | None] = lambda _line: None
    pause: Callable[[], bool] = lambda: False
    failing: Callable[[bytes], bool] = lambda _data: False
    grace: float = 3.0


@dataclass(frozen=True)
class Ended:
    """How the machine ended, when (seconds since QEMU's start), and what QEMU said.

    ``notes``: logs that were cut off.
    """

    end: VmEnd
    seconds: float
    message: str = ""
    notes: tuple[str, ...] = ()


def qemu_version() -> str:
    """Version of the installed QEMU, as ``7.2.22``; InfraError when there is none."""
    if not shutil.which(QEMU):
        raise InfraError(f"{QEMU} is not installed; apt-get install qemu-system-x86")
    text = proc.run([QEMU, "--version"], deadline=20).text
    match = re.search(r"version (\d+(?:\.\d+)+)", text)
    if not match:
        raise InfraError(f"{QEMU} --version says nothing that looks like a version")
    return match[1]


def command(boot: Boot, channel: Path | None, monitor: Path | None) -> list[str]:
    """QEMU's argv; the console is its standard input and output, the others are sockets or none."""
    machine = boot.machine
    accel = "tcg,thread=multi" if boot.accel == "tcg" else boot.accel
    argv = [boot.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]
    argv += ["-machine", "pc,usb=off,hpet=off,vmport=off,i8042=off"]
    argv += ["-accel", accel, "-cpu", machine.cpu, "-m", f"{machine.memory}M"]
    sockets = sum(1 for node in machine.node if node.cpus)
    argv += ["-smp", f"{machine.cpus},sockets={sockets},cores={machine.cpus // sockets},threads=1"]
    first = 0
    for number, node in enumerate(machine.node):
        argv += ["-object", f"{_backend(boot.ram, number)},id=ram{number},size={node.memory}M"]
        numa = f"node,nodeid={number},memdev=ram{number}"
        if node.cpus:
            numa += f",cpus={first}-{first + node.cpus - 1}"
        argv += ["-numa", numa]
        first += node.cpus
    argv += ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd)]
    argv += ["-append", " ".join(early_console(boot.append))]
    argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    link = f"socket,id=channel,path={channel}" if channel else "null,id=channel"
    argv += ["-chardev", link, "-serial", "chardev:channel"]
    if monitor:
        argv += ["-chardev", f"socket,id=monitor,path={monitor}"]
        argv += ["-mon", "chardev=monitor,mode=control"]
    return [*argv, *machine.devices, *boot.extra]


def _backend(ram: Ram | None, number: int) -> str:
    if not ram:
        return "memory-backend-ram"
    path = str(ram.files[number]).replace(",", ",,")
    return f"memory-backend-file,mem-path={path},share={'on' if ram.shared else 'off'}"


def address_space(machine: Machine) -> int:
    """Bytes that QEMU may map for a machine: a guest cannot make it take more."""
    return 3 * (machine.memory << 20) + OWN_MEMORY


def hand_over(boot: Boot) -> int | None:
    """Boot and give the console to whoever sits at this terminal; Ctrl-] ends it."""
    child = proc.console(command(boot, None, None))
    try:
        child.interact()
    finally:
        status = proc.close_console(child)
    return status


class _Log:
    """A raw log and its time index, each write one entry; what is beyond the cap is counted."""

    def __init__(self, folder: Path, name: str, started: float) -> None:
        self._data = (folder / f"{name}.log").open("wb", buffering=0)
        self._times = (folder / f"{name}.times").open("w", buffering=1, encoding="ascii")
        self._started = started
        self._name = name
        self.size = 0
        self.beyond = 0

    @property
    def full(self) -> bool:
        """Whether nothing more is kept."""
        return self.size >= LOG_CAP

    @property
    def notes(self) -> tuple[str, ...]:
        """What people have to know of it."""
        if not self.beyond:
            return ()
        return (f"the {self._name} log ends at {LOG_CAP >> 20} MiB: {self.beyond} bytes more came",)

    def write(self, chunk: bytes) -> None:
        self.beyond += max(0, len(chunk) - (LOG_CAP - self.size))
        chunk = chunk[: LOG_CAP - self.size]
        if chunk:
            self._times.write(f"{time.monotonic() - self._started:.3f} {self.size}\n")
            self._data.write(chunk)
            self.size += len(chunk)

    def close(self) -> None:
        self._data.close()
        self._times.close()


@dataclass
class _Watch:
    """What has been seen so far, and which deadline follows from it."""

    limits: Limits
    begun: float
    started: bool = False
    progress: float = 0
    failing: float | None = None
    partial: bytes = b""
    patience: Patience = field(default_factory=Patience)
    tail: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def console(self, chunk: bytes) -> None:
        """A kernel whose panic is over prints nothing more, and need not reboot."""
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

    def expiry(self, grace: float) -> tuple[float, VmEnd]:
        """When to give up, and what that would mean."""
        if self.failing is not None:
            return self.failing + grace, VmEnd.STOPPED
        if not self.started:
            stalled = time.monotonic() + self.limits.stall - self.patience.silence
            return min(
                (stalled, VmEnd.BOOT_STALL), (self.begun + self.limits.boot, VmEnd.BOOT_TIMEOUT)
            )
        silent = self.progress + self.limits.silence, VmEnd.SILENT
        return min(silent, (self.begun + self.limits.total, VmEnd.TIMEOUT))


def run_vm(boot: Boot, folder: Path, limits: Limits, hooks: Hooks) -> tuple[Ended, tuple[str, ...]]:
    """Boot a machine and see it to its end; logs go to ``folder``.

    Returns how it ended and QEMU's argv. Raises InfraError when QEMU cannot be started. Whatever
    happens, no process is left.
    """
    with ExitStack() as stack:
        sockets = Path(tempfile.mkdtemp(prefix="mmrace-"))
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(sockets / "channel"))
        listener.listen(1)
        monitor = QEMUMonitorProtocol(str(sockets / "monitor"), server=True)
        stack.callback(close_monitor, monitor)
        argv = command(boot, sockets / "channel", sockets / "monitor")
        begun = time.monotonic()
        child = proc.console(
            argv,
            cwd=folder,
            memory=address_space(boot.machine),
            writable=(folder.absolute(), sockets, *boot.writable),
        )
        stack.callback(proc.close_console, child)
        console, channel = _Log(folder, "console", begun), _Log(folder, "channel", begun)
        stack.callback(console.close)
        stack.callback(channel.close)
        watch = _Watch(limits, begun, patience=Patience(child.pid))
        try:
            link = stack.enter_context(accept(listener, child.isalive))
            monitor.accept(timeout=START_SECONDS)
            monitor.settimeout(MONITOR_SECONDS)
        except (OSError, QMPError, TimeoutError) as error:
            said = _drain(child.child_fd)
            console.write(said)
            return (
                Ended(VmEnd.QEMU_DIED, time.monotonic() - begun, _last_line(said) or str(error)),
                tuple(argv),
            )
        end = _pump(child.child_fd, link, monitor, console, channel, watch, hooks)
        seconds = time.monotonic() - begun
        if end is None:
            end = _reason(monitor)
        elif end in (VmEnd.SILENT, VmEnd.TIMEOUT, VmEnd.BOOT_TIMEOUT, VmEnd.BOOT_STALL):
            (folder / "registers.txt").write_text(_registers(monitor), encoding="utf-8")
            if not console.size and boot.log:
                console.write(_log_in_memory(monitor, boot.log, folder))
        message = ""
        if end is VmEnd.QEMU_DIED:
            status = proc.close_console(child)
            message = f"QEMU ended with status {status}"
        notes = console.notes + channel.notes
        return Ended(end, seconds, message, notes), tuple(argv)


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


def _pump(
    terminal: int,
    link: socket.socket,
    monitor: QEMUMonitorProtocol,
    console: _Log,
    channel: _Log,
    watch: _Watch,
    hooks: Hooks,
) -> VmEnd | None:
    """Copy both logs until QEMU closes its terminal (None) or a deadline passes."""
    with selectors.DefaultSelector() as selector:
        selector.register(terminal, selectors.EVENT_READ)
        selector.register(link, selectors.EVENT_READ)
        while True:
            watch.patience.look()
            expiry, meaning = watch.expiry(hooks.grace)
            left = expiry - time.monotonic()
            if left <= 0:
                return meaning
            for key, _ in selector.select(min(left, 1.0)):
                chunk = read(key.fd)
                watch.patience.heard()
                if key.fd == terminal:
                    if not chunk:
                        channel_rest = _drain(link.fileno())
                        channel.write(channel_rest)
                        watch.channel(channel_rest, hooks)
                        return None
                    # What is not kept is not looked at either: a guest cannot fill our memory.
                    seen = not console.full
                    console.write(chunk)
                    watch.console(chunk)
                    if seen and watch.failing is None and hooks.failing(chunk):
                        watch.failing = time.monotonic()
                elif not chunk:
                    selector.unregister(link)
                else:
                    seen = not channel.full
                    channel.write(chunk)
                    if seen:
                        _say(link, watch.channel(chunk, hooks))
                    if hooks.pause():
                        _pause(monitor)


def _say(link: socket.socket, data: bytes) -> None:
    """Write to the guest on the result channel, without waiting for a guest that does not read."""
    if data:
        with suppress(OSError):
            link.send(data, socket.MSG_DONTWAIT)


def _pause(monitor: QEMUMonitorProtocol) -> None:
    """Stop the machine and let it go on; InfraError when QEMU does not say that it has."""
    try:
        monitor.cmd("stop")
        monitor.cmd("cont")
    except TimeoutError as error:
        raise InfraError("QEMU does not answer on its monitor") from error
    except (QMPError, OSError):
        return  # QEMU is gone, as its terminal will say


def read(fd: int) -> bytes:
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
            chunk = read(fd)
            if not chunk:
                break
            collected += chunk
    return collected


def _last_line(data: bytes) -> str:
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _reason(monitor: QEMUMonitorProtocol) -> VmEnd:
    """Why QEMU closed its terminal, from the SHUTDOWN event that it sent before."""
    reasons = {"guest-shutdown": VmEnd.EXITED, "guest-reset": VmEnd.RESET}
    try:
        events = monitor.get_events(wait=0.5)
    except (QMPError, OSError, TimeoutError):
        events = []
    for event in events:
        if event.get("event") == "SHUTDOWN":
            data = event.get("data")
            reason = data.get("reason", "") if isinstance(data, dict) else ""
            return reasons.get(str(reason), VmEnd.QEMU_DIED)
    return VmEnd.QEMU_DIED


def _registers(monitor: QEMUMonitorProtocol) -> str:
    """Registers of all vCPUs of a machine that hangs, for people."""
    try:
        answer = monitor.cmd("human-monitor-command", **{"command-line": "info registers -a"})
    except (QMPError, OSError, TimeoutError) as error:
        return f"QEMU's monitor did not answer: {error}\n"
    return str(answer)


def _log_in_memory(monitor: QEMUMonitorProtocol, log: LogBuffer, folder: Path) -> bytes:
    """Messages that a guest has printed to no console, as lines of one; nothing if not readable."""
    dump = folder / "printk.raw"
    try:
        where = {"val": log.address, "size": log.size, "filename": str(dump.absolute())}
        monitor.cmd("memsave", **where)
        return messages(dump.read_bytes())
    except (QMPError, OSError, TimeoutError):
        return b""
    finally:
        dump.unlink(missing_ok=True)


def close_monitor(monitor: QEMUMonitorProtocol) -> None:
    """End the connection, whatever is left of it."""
    with suppress(QMPError, OSError, EOFError):
        monitor.close()
