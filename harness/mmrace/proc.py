# SPDX-License-Identifier: GPL-2.0-only
"""The one module that starts processes: deadlines, process groups, the sandbox."""

import functools
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pexpect

from mmrace.errors import BuildError, InfraError
from mmrace.guard import Guard
from mmrace.sandbox import Bind, Limits, Sandbox, guest_view, have_bubblewrap

_TAIL = 64 * 1024
_LINE = 4096  # bytes of a line that is told; the rest of it is not
_OUTPUT = 16 * 1024 * 1024  # what a program in a tight sandbox may print
_BESIDE = ("share", "lib", "lib64", "libexec")
# A shell gives a program in the background an empty standard input, unless told otherwise.
_KEEPER = """trap 'kill -KILL 0' ALRM; trap '' HUP; exec 3<&0; "$@" <&3 3<&- & wait $!"""
_CONSOLES: "set[pexpect.spawn]" = set()  # started, and not closed
__all__ = [
    "Bind",
    "Completed",
    "Sandbox",
    "can_confine",
    "close_console",
    "console",
    "end_consoles",
    "run",
    "sandbox_fault",
]


@dataclass(frozen=True)
class Completed:
    """A process that ended: its exit code (negative: signal), output and wall seconds.

    ``stdout`` is all of it; ``stderr`` is its last 64 KiB when lines were streamed.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        """Standard error as text, undecodable bytes replaced."""
        return self.stderr.decode(errors="replace")


def run(
    argv: Sequence[str | Path],
    *,
    deadline: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | Path | None = None,
    sandbox: Sandbox | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program to its end, in a process group of its own; in a sandbox it dies with us.

    ``deadline`` is in seconds. ``env`` is added to mmrace's own environment, and is the whole
    environment inside a sandbox. ``on_line`` gets each line of standard output and error as it
    comes. Raises InfraError when the program cannot be started or outlives its deadline,
    BuildError when it takes more than a tight sandbox allows; an exit code other than 0 is the
    caller's to judge.
    """
    words = [str(word) for word in argv]
    if not sandbox:
        return _run(words, words, deadline, cwd, {**os.environ, **(env or {})}, stdin, on_line)
    command = _bound(sandbox.wrap(words, env or {}))
    cwd = sandbox.host(sandbox.cwd) if sandbox.bare else cwd
    with sandbox.handed_over():
        done = _run(words, command, deadline, cwd, None, stdin, on_line, sandbox)
    if done.returncode and done.stderr.startswith(b"bwrap: "):
        message = done.errors.splitlines()[0]
        raise InfraError(f"the sandbox cannot be set up: {message}; see mmrace doctor")
    return done


def _run(
    words: list[str],
    command: list[str],
    deadline: float,
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    stdin: bytes | Path | None,
    on_line: Callable[[str], None] | None,
    sandbox: Sandbox | None = None,
) -> Completed:
    started = time.monotonic()
    source = stdin.open("rb") if isinstance(stdin, Path) else None
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=source or (subprocess.PIPE if stdin is not None else subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise InfraError(f"cannot start {command[0]}: {error.strerror}") from error
    finally:
        if source:
            source.close()
    guard = _guard(process, sandbox)
    try:
        if on_line is None and not guard:
            data = stdin if isinstance(stdin, bytes) else None
            out, err = process.communicate(data, timeout=deadline)
        else:
            most = _OUTPUT if guard else None
            out, err = _stream(process, stdin, on_line or str, started + deadline, most)
    except subprocess.TimeoutExpired as error:
        raise InfraError(f"{words[0]} was stopped after {deadline:.0f} s") from error
    finally:
        if guard:
            guard.close()
        _end(process)
    if guard and guard.reason:
        raise BuildError(f"{words[0]} was stopped: {guard.reason}")
    return Completed(tuple(words), process.returncode, out, err, time.monotonic() - started)


def _guard(process: subprocess.Popen[bytes], sandbox: Sandbox | None) -> Guard | None:
    if not sandbox or not sandbox.limits or sandbox.bare:
        return None
    stop = functools.partial(_kill_group, process.pid)
    return Guard(process.pid, sandbox.limits, sandbox.writable, stop)


def _stream(
    process: subprocess.Popen[bytes],
    stdin: bytes | Path | None,
    on_line: Callable[[str], object],
    end: float,
    most: int | None,
) -> tuple[bytes, bytes]:
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    if isinstance(stdin, bytes) and process.stdin:
        process.stdin.write(stdin)
        process.stdin.close()
    kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    pending = dict.fromkeys(kept, b"")
    with selectors.DefaultSelector() as selector:
        for fd in kept:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in selector.select(left):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fd)
                    continue
                kept[key.fd] += chunk
                if most and sum(map(len, kept.values())) > most:
                    raise BuildError(f"the build was stopped: it printed more than {most} bytes")
                *lines, rest = (pending[key.fd] + chunk).split(b"\n")
                pending[key.fd] = rest[:_LINE]
                for line in lines:
                    on_line(line[:_LINE].decode(errors="replace"))
    process.wait(timeout=max(0.1, end - time.monotonic()))
    out, err = (bytes(value) for value in kept.values())
    return out, err[-_TAIL:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of the process group behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


@functools.cache
def can_confine() -> bool:
    """Whether this host lets mmrace confine QEMU: tried once."""
    if not have_bubblewrap():
        return False
    return run(guest_view(["true"], (), (), Path("/")), deadline=20).returncode == 0


def sandbox_fault() -> str:
    """Why a tight sandbox cannot be set up on this host; empty when it can."""
    if not have_bubblewrap():
        return "no bubblewrap"
    try:
        done = run(["true"], deadline=20, sandbox=Sandbox(limits=Limits()))
    except InfraError as error:
        return error.message
    return done.errors.strip() if done.returncode else ""


def console(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    memory: int | None = None,
    writable: Sequence[Path] | None = None,
    readable: Sequence[Path] = (),
) -> "pexpect.spawn":
    """Start a program on a terminal of its own (QEMU, whose first serial port is its stdio).

    ``memory`` bytes are its whole address space. Its process group is killed when the thread that
    started it ends, however that ends.
    With ``writable`` it sees these directories and files, those that are ``readable``, and of the
    rest the system's programs and libraries only, where the host lets us. Raises InfraError when
    it cannot be started. The caller ends it with ``close_console``.
    """
    words = [str(word) for word in argv]
    program = shutil.which(words[0])
    if not program:
        raise InfraError(f"cannot start {words[0]}: it is not installed")
    words = ["prlimit", "--core=0", *([f"--as={memory}"] if memory else []), *words]
    if writable is not None and can_confine():
        readable = (*_where(Path(program)), *readable)
        words = guest_view(words, writable, readable, cwd or Path("/"))
    words = _bound(words)
    try:
        child = pexpect.spawn(words[0], words[1:], cwd=cwd, timeout=None, echo=False)
    except pexpect.ExceptionPexpect as error:
        raise InfraError(f"cannot start {words[0]}: {error}") from error
    child.delaybeforesend = None
    _CONSOLES.add(child)
    return child


def _bound(words: Sequence[str]) -> list[str]:
    """Return the words that start a program whose process group dies with the current thread.

    The kernel tells one process of our death, and that one kills its group. Were it a bwrap that
    died alone in its first moments, its child would be left, waiting for it for ever: as the first
    process of a PID namespace it takes no SIGHUP from the terminal that is gone.
    """
    return ["setpriv", "--pdeathsig", "ALRM", "sh", "-c", _KEEPER, "sh", *words]


def _where(program: Path) -> tuple[Path, ...]:
    """What has to be seen of a program that is not among the system's: its directory, and those
    beside it that hold its data (QEMU's firmware is in ../share) and its libraries."""
    homes = (program.absolute().parent, program.resolve().parent)
    return tuple(
        folder
        for home in dict.fromkeys(homes)
        if not home.is_relative_to("/usr")
        for folder in (home, *(home.parent / name for name in _BESIDE))
        if folder.is_dir()
    )


def end_consoles() -> None:
    """Kill the open processes that ``console`` started: their threads see them end."""
    for child in tuple(_CONSOLES):
        _kill_group(child.pid)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def close_console(child: "pexpect.spawn") -> int | None:
    """End the program and its process group; return its exit code, None after a signal."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        end = time.monotonic() + 3
        while child.isalive() and time.monotonic() < end:
            time.sleep(0.02)
    child.close(force=True)
    _CONSOLES.discard(child)
    status: int | None = child.exitstatus
    return status
