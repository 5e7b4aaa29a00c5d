#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that boots no guest: it keeps vm.py's side of the contract and plays a script.

The kernel "image" is a script, one step a line:
  console TEXT | channel TEXT | hear | sleep SECONDS | poweroff | reset | die STATUS | deaf
  look PATH | stand ADDRESS | search SCHEDULES

``hear`` waits for a line on the channel, and prints it on the console. ``look`` prints this
process's capabilities, its network devices, and whether it sees a path of the host's.

With -plugin it says that the director is loaded; nothing is held or seen. ``search`` is what a
search has done: an ordered pair of its first two accesses, and schedules if it was to hold.

At ``stand`` the first vCPU comes to an address, and stops there if there is a breakpoint.

It "migrates" by saying which line it plays. With -incoming it waits for that number, and for the
word to go on from its gdbstub, which knows two vCPUs.
"""

import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import tty
from pathlib import Path


def _option(argv, name):
    return argv[argv.index(name) + 1]


def _connect(argv, chardev):
    for word in argv:
        if word.startswith(f"socket,id={chardev},path="):
            link = socket.socket(socket.AF_UNIX)
            link.connect(word.partition("path=")[2])
            return link
    raise SystemExit(f"fake qemu: no chardev {chardev}")


def _send(link, message):
    link.sendall(json.dumps(message).encode() + b"\r\n")


def _tell(monitor, event, data=None):
    when = {"seconds": 0, "microseconds": 0}
    _send(monitor, {"event": event, "data": data or {}, "timestamp": when})


def _greet(monitor, machine):
    version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
    _send(monitor, {"QMP": {"version": version, "capabilities": []}})
    request = json.loads(monitor.recv(65536))
    _send(monitor, {"return": {}, "id": request.get("id")})
    time.sleep(0.05)  # a real QEMU outlives its monitor's handshake
    threading.Thread(target=machine.answer, args=(monitor,), daemon=True).start()


class Machine:
    """Where the script is, and what the monitor and the gdbstub make of it."""

    def __init__(self, argv):
        self.line = 0
        self.status = "none"
        self.incoming = threading.Event()
        self.goes = threading.Event()
        self.link = None
        self.pc = 0
        self.breakpoints = set()
        if "-incoming" not in argv:
            self.incoming.set()
            self.goes.set()

    def answer(self, monitor):
        while data := monitor.recv(65536):
            request = json.loads(data)
            result = "RIP=0\n"
            match request["execute"]:
                case "stop":
                    self.goes.clear()
                    _tell(monitor, "STOP")
                case "cont":
                    os.write(1, b"going on\r\n")
                    self.goes.set()
                    _tell(monitor, "RESUME")
                case "memsave":
                    arguments = request["arguments"]
                    assert -(2**63) <= arguments["val"] < 2**63, "QMP's int is signed"
                    text = f"said {arguments['size']} at {arguments['val'] % 2**64:#x}"
                    raw = b"\0\0\1\0" + text.encode() + b"\0\0"
                    Path(arguments["filename"]).write_bytes(raw)
                case "migrate":
                    with self._link(request, "connect") as link:
                        link.sendall(str(self.line).encode())
                    self.status = "completed"
                case "migrate-incoming":
                    listener = self._link(request, "bind")
                    listener.listen(1)
                    threading.Thread(target=self._load, args=(listener,), daemon=True).start()
                case "query-migrate":
                    result = {"status": self.status}
            _send(monitor, {"return": result, "id": request.get("id")})

    def _link(self, request, verb):
        link = socket.socket(socket.AF_UNIX)
        getattr(link, verb)(request["arguments"]["uri"].removeprefix("unix:"))
        return link

    def _load(self, listener):
        link, _ = listener.accept()
        state = b"".join(iter(lambda: link.recv(65536), b""))
        self.line = int(state) if state.isdigit() else 0
        self.status = "completed" if state.isdigit() else "failed"
        self.incoming.set()

    def debug(self, link):
        self.link = link
        while data := link.recv(4096):
            for text in re.findall(r"\$([^#]*)#..", data.decode()):
                if text.startswith("vCont;c"):
                    self.goes.set()
                else:
                    self.tell(self._reply(text))
            if b"\x03" in data:
                self.goes.clear()
                self.tell("T02thread:p01.01;")

    def _reply(self, text):
        if text.startswith(("Z1,", "z1,")):
            change = self.breakpoints.add if text[0] == "Z" else self.breakpoints.discard
            change(int(text.split(",")[1], 16))
        known = {
            "qfThreadInfo": "mp01.01,p01.02",
            "qsThreadInfo": "l",
            "p10": self.pc.to_bytes(8, "little").hex(),
            "p7": "00" * 8,
        }
        if text in known:
            return known[text]
        if text.startswith("vCont;s"):
            return "T05thread:p01.01;"
        if text.startswith(("Z1,", "z1,", "Hg", "QStartNoAckMode")):
            return "OK"
        return "QStartNoAckMode+" if "Supported" in text else ""

    def stand(self, address):
        """Come to an address; who has a breakpoint there is told."""
        self.pc = address
        if address in self.breakpoints:
            self.goes.clear()
            self.tell("T05thread:p01.01;")
            self.goes.wait()

    def tell(self, text):
        self.link.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) % 256))


def _attach(state):
    """Say in the director's state file that it is loaded and sees what is translated."""
    with Path(state).open("r+b") as file:
        for at in (68, 76):  # shared.py: ATTACHED_AT, WATCHING_AT
            file.seek(at)
            file.write((1).to_bytes(4, "little"))


def _search(state, schedules):
    """Say in the director's state file what its search has seen and done; it has no point."""
    header, event, events, site = 128, 16, 8192, 32  # shared.py and search.py
    at = header + events * event
    with Path(state).open("r+b") as file:
        file.seek(at)
        numbers = struct.unpack("<20I", file.read(80))
        sites, share = numbers[0], numbers[5]
        done = schedules if share else 0
        file.write(struct.pack("<9Q", 9, 1, 0, 0, done, done, 0, 0, done))  # as many holds
        file.seek(at + 80 + 16 * 8 + sites * site)
        file.write(struct.pack("<4I3Q", 0, 1, 3, 1, 1000, 0x1000, min(done, 1)))


def step(word, rest, channel, monitor):
    """Carry out a line of the script; the exit status of one that ends QEMU."""
    if word == "console":
        os.write(1, rest.encode() + b"\r\n")
    elif word == "channel":
        channel.sendall(rest.encode() + b"\n")
    elif word == "hear":
        line = b""
        while not line.endswith(b"\n"):
            line += channel.recv(1) or b"\n"
        os.write(1, b"heard " + line)
    elif word == "look":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found = [re.search(r"CapEff:\s*(\w+)", status)[1], *map(str, socket.if_nameindex())]
        os.write(1, f"{found} {Path(rest).exists()}\r\n".encode())
    elif word == "sleep":
        time.sleep(float(rest))
    elif word == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif word in ("poweroff", "reset"):
        reason = {"poweroff": "guest-shutdown", "reset": "guest-reset"}[word]
        _tell(monitor, "SHUTDOWN", {"guest": True, "reason": reason})
        return 0
    elif word == "die":
        return int(rest)
    return None


def main():
    argv = sys.argv[1:]
    if "--version" in argv:
        print("QEMU emulator version 7.2.99 (fake)")
        return 0
    script = Path(_option(argv, "-kernel")).read_text(encoding="utf-8").splitlines()
    if script and script[0].startswith("die early"):
        print("qemu: could not set up the machine")
        return 1
    if "-plugin" in argv:
        _attach(_option(argv, "-plugin").partition("state=")[2])
    tty.setraw(0)
    channel = _connect(argv, "channel")
    if "-gdb" in argv:
        debugger = _connect(argv, "gdb")
    monitor = _connect(argv, "monitor")
    machine = Machine(argv)
    _greet(monitor, machine)
    if "-gdb" in argv:
        threading.Thread(target=machine.debug, args=(debugger,), daemon=True).start()
    machine.incoming.wait()
    while machine.line < len(script):
        machine.goes.wait()
        line = script[machine.line]
        machine.line += 1
        word, _, rest = line.partition(" ")
        if word == "stand":
            machine.stand(int(rest))
            continue
        if word == "search":
            if "-plugin" in argv:
                _search(_option(argv, "-plugin").partition("state=")[2], int(rest))
            continue
        status = step(word, rest, channel, monitor)
        if status is not None:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
