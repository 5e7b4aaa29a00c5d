#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that boots no guest: it keeps vm.py's side of the contract and plays a script.

The kernel "image" is a script, one step a line:
  console TEXT | channel TEXT | sleep SECONDS | poweroff | reset | die STATUS | deaf
"""

import json
import os
import signal
import socket
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


def _greet(monitor):
    version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
    _send(monitor, {"QMP": {"version": version, "capabilities": []}})
    request = json.loads(monitor.recv(65536))
    _send(monitor, {"return": {}, "id": request.get("id")})
    time.sleep(0.05)  # a real QEMU outlives its monitor's handshake
    threading.Thread(target=_answer, args=(monitor,), daemon=True).start()


def _answer(monitor):
    while data := monitor.recv(65536):
        request = json.loads(data)
        _send(monitor, {"return": "RIP=0\n", "id": request.get("id")})


def main():
    argv = sys.argv[1:]
    if "--version" in argv:
        print("QEMU emulator version 7.2.99 (fake)")
        return 0
    script = Path(_option(argv, "-kernel")).read_text(encoding="utf-8").splitlines()
    if script and script[0].startswith("die early"):
        print("qemu: could not set up the machine")
        return 1
    tty.setraw(0)
    channel = _connect(argv, "channel")
    monitor = _connect(argv, "monitor")
    _greet(monitor)
    for line in script:
        word, _, rest = line.partition(" ")
        if word == "console":
            os.write(1, rest.encode() + b"\r\n")
        elif word == "channel":
            channel.sendall(rest.encode() + b"\n")
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word in ("poweroff", "reset"):
            reason = {"poweroff": "guest-shutdown", "reset": "guest-reset"}[word]
            _send(
                monitor,
                {
                    "event": "SHUTDOWN",
                    "data": {"guest": True, "reason": reason},
                    "timestamp": {"seconds": 0, "microseconds": 0},
                },
            )
            return 0
        elif word == "die":
            return int(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
