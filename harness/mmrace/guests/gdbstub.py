# SPDX-License-Identifier: GPL-2.0-only
"""A client of QEMU's gdbstub: the little of gdb's remote protocol that steering needs.

The protocol is described in gdb's manual, appendix "Remote Serial Protocol"; what QEMU makes of
it is in its ``gdbstub.c``. No library speaks it without bringing a debugger along.

All vCPUs stop together. ``resume`` sets going only those that it is given.
"""

import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from mmrace.errors import InfraError

ANSWER_SECONDS = 20.0
INTERRUPT = b"\x03"
_QUIT = 3
_RSP, _RIP = 7, 16  # x86-64's numbers of them in QEMU's description of the registers
_PACKET = re.compile(rb"\$([^#]*)#([0-9a-f]{2})", re.DOTALL)
_THREAD = re.compile(r"thread:([^;]+);")
_ESCAPED = re.compile(rb"\}(.)", re.DOTALL)


@dataclass(frozen=True)
class Stop:
    """Why all vCPUs stopped, and which vCPU caused it.

    ``signal`` is the number that QEMU sends: 5 for a breakpoint or a step, 2 when it was asked
    to, 3 when the machine has powered itself off or reset.
    """

    signal: int
    thread: str

    @property
    def ended(self) -> bool:
        """Whether the machine is off: it runs no more, and answers no request to stop."""
        return self.signal == _QUIT


def frame(text: str) -> bytes:
    """A packet with its checksum."""
    data = text.encode()
    return b"$%s#%02x" % (data, sum(data) % 256)


class Packets:
    """Takes bytes as they come, gives whole packets; acknowledgements are dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> tuple[str, ...]:
        """Read the next bytes; InfraError for a packet whose checksum is wrong."""
        self._rest += data
        found = []
        while match := _PACKET.search(self._rest):
            if sum(match[1]) % 256 != int(match[2], 16):
                raise InfraError("QEMU's gdbstub sent a packet with a wrong checksum")
            plain = _ESCAPED.sub(lambda part: bytes([part[1][0] ^ 0x20]), match[1])
            found.append(plain.decode("latin-1"))
            self._rest = self._rest[match.end() :]
        return tuple(found)


def parse_stop(packet: str) -> Stop | None:
    """A stop reply as a value; None for any other packet."""
    if packet[:1] not in ("T", "S") or not re.match(r"[0-9a-f]{2}", packet[1:]):
        return None
    thread = _THREAD.search(packet)
    return Stop(int(packet[1:3], 16), thread[1] if thread else "")


class Stub:
    """One connection; ``attach`` comes first, while the machine is stopped.

    Every method but ``resume``, ``interrupt`` and ``poll`` needs the machine stopped. InfraError
    when QEMU does not answer, refuses, or is gone.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._packets = Packets()
        self._waiting: list[str] = []
        self._acks = True
        self._chosen = ""
        self.threads: tuple[str, ...] = ()

    def fileno(self) -> int:
        """For selectors: readable when ``poll`` has something to read."""
        return self._link.fileno()

    def attach(self) -> None:
        """Agree on how to talk, and learn what vCPUs there are."""
        offered = self._ask("qSupported:multiprocess+;xmlRegisters=i386")
        if "QStartNoAckMode+" in offered:
            self._expect("QStartNoAckMode")
            self._acks = False
        # QEMU reads single registers only for a client that has read its list of registers.
        self._ask("qXfer:features:read:target.xml:0,ffb")
        self.threads = self._list_threads()

    def interrupt(self) -> None:
        """Ask a running machine to stop; ``poll`` says when it has."""
        self._write(INTERRUPT)

    def resume(self, threads: Iterable[str]) -> None:
        """Let these vCPUs run, and no other."""
        actions = "".join(f";c:{thread}" for thread in threads)
        self._send(f"vCont{actions}")

    def step(self, thread: str) -> Stop:
        """Let one vCPU execute one instruction, without its interrupts."""
        self._send(f"vCont;s:{thread}")
        stop = parse_stop(self._receive())
        if stop is None:
            raise InfraError("QEMU's gdbstub did not report a stop after a step")
        return stop

    def poll(self, seconds: float) -> Stop | None:
        """The next stop, None when there is none in time."""
        end = time.monotonic() + seconds
        while packet := self._next(end - time.monotonic()):
            if stop := parse_stop(packet):
                return stop
        return None

    def insert(self, address: int) -> None:
        """Set a breakpoint; under TCG a hardware one costs the same and changes no memory."""
        self._expect(f"Z1,{address:x},1")

    def remove(self, address: int) -> None:
        """Take a breakpoint away."""
        self._expect(f"z1,{address:x},1")

    def pc(self, thread: str) -> int:
        """Address of the instruction that a vCPU executes next."""
        return self.register(thread, _RIP)

    def sp(self, thread: str) -> int:
        """A vCPU's stack pointer."""
        return self.register(thread, _RSP)

    def register(self, thread: str, number: int) -> int:
        """A register of a vCPU, by its number in QEMU's description."""
        if self._chosen != thread:
            self._expect(f"Hg{thread}")
            self._chosen = thread
        return int.from_bytes(self._hex(f"p{number:x}"), "little")

    def memory(self, thread: str, address: int, length: int) -> bytes:
        """Memory as a vCPU sees it."""
        if self._chosen != thread:
            self._expect(f"Hg{thread}")
            self._chosen = thread
        return self._hex(f"m{address:x},{length:x}")

    def _list_threads(self) -> tuple[str, ...]:
        found: list[str] = []
        answer = self._ask("qfThreadInfo")
        while answer.startswith("m"):
            found += answer[1:].split(",")
            answer = self._ask("qsThreadInfo")
        return tuple(found)

    def _hex(self, request: str) -> bytes:
        answer = self._ask(request)
        try:
            return bytes.fromhex(answer)
        except ValueError as error:
            raise InfraError(f"QEMU's gdbstub answered {request} with {answer!r}") from error

    def _expect(self, request: str) -> None:
        answer = self._ask(request)
        if answer != "OK":
            raise InfraError(f"QEMU's gdbstub answered {request} with {answer!r}")

    def _ask(self, request: str) -> str:
        self._send(request)
        return self._receive()

    def _send(self, text: str) -> None:
        self._write(frame(text))

    def _write(self, data: bytes) -> None:
        try:
            self._link.sendall(data)
        except OSError as error:
            raise InfraError(f"QEMU's gdbstub is gone: {error.strerror}") from error

    def _receive(self) -> str:
        packet = self._next(ANSWER_SECONDS)
        if packet is None:
            raise InfraError(f"QEMU's gdbstub did not answer in {ANSWER_SECONDS:.0f} s")
        return packet

    def _next(self, seconds: float) -> str | None:
        end = time.monotonic() + seconds
        while not self._waiting:
            # A deadline that has passed still lets what is there be read.
            self._link.settimeout(max(0.0, end - time.monotonic()))
            try:
                data = self._link.recv(65536)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise InfraError(f"QEMU's gdbstub is gone: {error.strerror}") from error
            if not data:
                raise InfraError("QEMU closed its gdbstub")
            self._waiting += self._packets.feed(data)
            if self._acks and self._waiting:
                self._write(b"+")
        self._link.settimeout(None)
        return self._waiting.pop(0)
