# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line: the machine, what it boots, and the sockets that mmrace holds it by."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from mmrace import proc
from mmrace.definitions.machine import Machine
from mmrace.errors import InfraError
from mmrace.guests.printk import LogBuffer, early_console

QEMU = "qemu-system-x86_64"
# Of QEMU's address space, beside the guest's memory and copies of it: code, stacks, libraries.
OWN_MEMORY = 8 << 30


@dataclass(frozen=True)
class Ram:
    """Files that hold the guest's memory, one per node, in one directory.

    ``shared``: what the guest writes goes to the files; else QEMU maps them copy-on-write.
    """

    files: tuple[Path, ...]
    shared: bool


@dataclass(frozen=True)
class Boot:
    """What to start: machine, kernel, initramfs, kernel command line, accelerator.

    ``ram``: memory in files, of which a snapshot is made; else QEMU's own. ``writable`` and
    ``readable``: further files that QEMU sees in its sandbox. ``log``: where the kernel keeps its
    messages, read when none of them came to the console.
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
    readable: tuple[Path, ...] = ()
    log: LogBuffer | None = None


@dataclass(frozen=True)
class Ports:
    """Paths of the sockets that QEMU connects to; without ``gdb`` it has no gdbstub."""

    channel: Path
    monitor: Path
    gdb: Path | None = None


def qemu_version() -> str:
    """Version of the installed QEMU, as ``7.2.22``; InfraError when there is none."""
    if not shutil.which(QEMU):
        raise InfraError(f"{QEMU} is not installed; apt-get install qemu-system-x86")
    text = proc.run([QEMU, "--version"], deadline=20).text
    match = re.search(r"version (\d+(?:\.\d+)+)", text)
    if not match:
        raise InfraError(f"{QEMU} --version printed no version")
    return match[1]


def address_space(machine: Machine) -> int:
    """Bytes that QEMU may map for a machine: a guest cannot make it take more."""
    return 3 * (machine.memory << 20) + OWN_MEMORY


def command(boot: Boot, ports: Ports) -> list[str]:
    """QEMU's argv; the console is its standard input and output, the rest are sockets."""
    machine = boot.machine
    accel = "tcg,thread=multi" if boot.accel == "tcg" else boot.accel
    argv = [boot.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"]
    argv += ["-machine", "pc,usb=off,hpet=off,vmport=off,i8042=off"]
    argv += ["-accel", accel, "-cpu", machine.cpu, "-m", f"{machine.memory}M"]
    argv += [*_numa(boot), "-kernel", str(boot.kernel), "-initrd", str(boot.initrd)]
    argv += ["-append", " ".join(early_console(boot.append))]
    argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    argv += ["-chardev", _socket("channel", ports.channel), "-serial", "chardev:channel"]
    argv += ["-chardev", _socket("monitor", ports.monitor)]
    argv += ["-mon", "chardev=monitor,mode=control"]
    if ports.gdb:
        argv += ["-chardev", _socket("gdb", ports.gdb), "-gdb", "chardev:gdb"]
    return [*argv, *machine.devices, *boot.extra]


def _numa(boot: Boot) -> list[str]:
    machine = boot.machine
    sockets = sum(1 for node in machine.node if node.cpus)
    argv = ["-smp", f"{machine.cpus},sockets={sockets},cores={machine.cpus // sockets},threads=1"]
    first = 0
    for number, node in enumerate(machine.node):
        argv += ["-object", f"{_backend(boot.ram, number)},id=ram{number},size={node.memory}M"]
        numa = f"node,nodeid={number},memdev=ram{number}"
        if node.cpus:
            numa += f",cpus={first}-{first + node.cpus - 1}"
        argv += ["-numa", numa]
        first += node.cpus
    return argv


def _backend(ram: Ram | None, number: int) -> str:
    if not ram:
        return "memory-backend-ram"
    share = "on" if ram.shared else "off"
    return f"memory-backend-file,mem-path={_escaped(ram.files[number])},share={share}"


def _socket(name: str, path: Path) -> str:
    return f"socket,id={name},path={_escaped(path)}"


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")
