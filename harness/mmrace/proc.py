# SPDX-License-Identifier: GPL-2.0-only
"""The one module that starts processes: deadlines, process groups, the sandbox."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect

from mmrace.errors import InfraError

_TAIL = 64 * 1024


@dataclass(frozen=True)
class Bind:
    """A host path as the sandbox sees it."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True)
class Sandbox:
    """A bubblewrap mount namespace: system read-only, no network, no home, own /tmp."""

    binds: tuple[Bind, ...] = ()
    cwd: str = "/"

    def wrap(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return the argv that runs ``argv`` inside."""
        wrapped = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
        for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64"):
            path = Path("/") / name
            if path.is_symlink():
                wrapped += ["--symlink", str(path.readlink()), str(path)]
            elif path.is_dir():
                wrapped += ["--ro-bind", str(path), str(path)]
        for name in ("/etc/alternatives", "/etc/ld.so.cache"):
            wrapped += ["--ro-bind-try", name, name]
        wrapped += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
        for bind in self.binds:
            wrapped += ["--bind" if bind.writable else "--ro-bind", str(bind.host), bind.inside]
        for key, value in {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", **env}.items():
            wrapped += ["--setenv", key, value]
        return [*wrapped, "--chdir", self.cwd, "--", *argv]


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
    """Run a program to its end, in a process group of its own.

    ``deadline`` is in seconds. ``env`` is added to mmrace's own environment, and is the whole
    environment inside a sandbox. ``on_line`` gets each line of standard output and error as it
    comes. Raises InfraError when the program cannot be started or outlives its deadline; an exit
    code other than 0 is the caller's to judge.
    """
    words = [str(word) for word in argv]
    command = sandbox.wrap(words, env or {}) if sandbox else words
    started = time.monotonic()
    source = stdin.open("rb") if isinstance(stdin, Path) else None
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})} if not sandbox else None,
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
    try:
        if on_line is None:
            data = stdin if isinstance(stdin, bytes) else None
            out, err = process.communicate(data, timeout=deadline)
        else:
            out, err = _stream(process, stdin, on_line, started + deadline)
    except subprocess.TimeoutExpired as error:
        raise InfraError(f"{words[0]} was stopped after {deadline:.0f} s") from error
    finally:
        _end(process)
    return Completed(tuple(words), process.returncode, out, err, time.monotonic() - started)


def _stream(
    process: subprocess.Popen[bytes],
    stdin: bytes | Path | None,
    on_line: Callable[[str], None],
    end: float,
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
                *lines, pending[key.fd] = (pending[key.fd] + chunk).split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"))
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


def console(argv: Sequence[str | Path], *, cwd: Path | None = None) -> "pexpect.spawn":
    """Start a program on a terminal of its own (QEMU, whose first serial port is its stdio).

    Raises InfraError when it cannot be started. The caller ends it with ``close_console``.
    """
    words = [str(word) for word in argv]
    try:
        child = pexpect.spawn(words[0], words[1:], cwd=cwd, timeout=None, echo=False)
    except pexpect.ExceptionPexpect as error:
        raise InfraError(f"cannot start {words[0]}: {error}") from error
    child.delaybeforesend = None
    return child


def close_console(child: "pexpect.spawn") -> int | None:
    """End the program by its own process group; return its exit code, None after a signal."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not child.isalive():
            break
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        end = time.monotonic() + 3
        while child.isalive() and time.monotonic() < end:
            time.sleep(0.02)
    child.close(force=True)
    status: int | None = child.exitstatus
    return status
