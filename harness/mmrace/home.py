# SPDX-License-Identifier: GPL-2.0-only
"""Where mmrace keeps its state, and how an object there is locked and published.

``cache`` can be thrown away and is made again; ``data`` (runs, trees a user added) cannot.
"""

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.leftover import (
    HELD,
    hold,
    shared_memory,
    sweep,
    take_away,
    temporary_directory,
    temporary_file,
)

_SWEPT = (
    *("runs", "kernels", "programs", "trees", "reports", "mails"),
    *("builds", "sources", "bisections"),
)
LIMIT = 20 * 10**9  # bytes


@dataclass(frozen=True)
class Home:
    """The state directories; none is created before something is stored in it.

    ``limit``: bytes that it may hold before what can be built again is dropped.
    """

    cache: Path
    data: Path
    limit: int = LIMIT

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Home":
        """``MMRACE_HOME`` overrides the XDG cache and data directories.

        ``MMRACE_HOME_LIMIT`` is a size such as ``20G``. UserError when it is none.
        """
        limit = _bytes(environ.get("MMRACE_HOME_LIMIT") or str(LIMIT))
        if chosen := environ.get("MMRACE_HOME"):
            top = Path(chosen).absolute()
            return cls(top / "cache", top / "data", limit)
        user = Path(environ.get("HOME") or "~").expanduser()
        cache = Path(environ.get("XDG_CACHE_HOME") or user / ".cache")
        data = Path(environ.get("XDG_DATA_HOME") or user / ".local" / "share")
        return cls(cache / "mmrace", data / "mmrace", limit)

    @property
    def trees(self) -> Path:
        """The git object store and one TOML record for each tree."""
        return self.data / "trees"

    @property
    def runs(self) -> Path:
        """One directory for each run."""
        return self.data / "runs"

    @property
    def races(self) -> Path:
        """The user's own races."""
        return self.data / "races"

    @property
    def reproducers(self) -> Path:
        """Files of reproducers that were run, each under the name of the race that it became."""
        return self.data / "reproducers"

    @property
    def reports(self) -> Path:
        """HTML and JUnit files of past invocations."""
        return self.data / "reports"

    @property
    def mails(self) -> Path:
        """Series that came on standard input."""
        return self.data / "mails"

    @property
    def bisections(self) -> Path:
        """One directory for each bisection: its log, and the clone that a command runs in."""
        return self.data / "bisections"

    @property
    def kernels(self) -> Path:
        """Finished kernels, each under its kernel id."""
        return self.cache / "kernels"

    @property
    def builds(self) -> Path:
        """Source and build directories, one pair for each tree and config, kept incremental."""
        return self.cache / "benches"

    @property
    def sources(self) -> Path:
        """One checked out tree for each base; those of ``builds`` are links to its files."""
        return self.cache / "sources"

    @property
    def packs(self) -> Path:
        """Sources on their way to workers of a cluster: packs of git objects."""
        return self.cache / "packs"

    @property
    def images(self) -> Path:
        """Images for guests (initramfs), each under the hash of its content."""
        return self.cache / "images"

    @property
    def downloads(self) -> Path:
        """Source packages of Debian, as they came."""
        return self.cache / "debian"

    @property
    def ccache(self) -> Path:
        """The compiler cache that all builds share."""
        return self.cache / "ccache"

    @property
    def programs(self) -> Path:
        """Guest programs (init, stressors, selftests, LTP), each under the hash of its inputs."""
        return self.cache / "programs"

    @property
    def locks(self) -> Path:
        """Lock files."""
        return self.data / "locks"

    @contextmanager
    def scratch(self, beside: Path) -> Iterator[Path]:
        """Yield an empty directory on the file system of ``beside``; gone at the end."""
        with temporary_directory(beside) as made:
            yield made

    def sweep(self) -> int:
        """Remove what killed processes left; returns how many files and directories."""
        inner = (self.kernels / "requests", self.cache / "series", self.trees / "applied")
        folders = {getattr(self, name) for name in _SWEPT} | {self.cache, self.data, *inner}
        folders |= {path.parent for path in self.builds.glob("*/state.json")}
        count = sweep(folders) + sweep([shared_memory()], f"{HELD}*")
        return count + sum(self._sweep_build(path) for path in self.builds.glob("*-outside"))

    def _sweep_build(self, folder: Path) -> bool:
        """Remove a build directory that was to be thrown away, unless a build is at work in it."""
        with self.free(build_lock(folder.name)) as nobody:
            return nobody and take_away(folder)

    @contextmanager
    def free(self, name: str) -> Iterator[bool]:
        """Take the lock of one object if it is free; yields whether it was."""
        lock = self.locks / name.replace("/", "_")
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        held = hold(lock)
        try:
            yield held is not None
        finally:
            if held is not None:
                os.close(held)

    @contextmanager
    def lock(
        self, name: str, waiting: Callable[[str], None] | None = None, *, shared: bool = False
    ) -> Iterator[None]:
        """Hold the lock of one object; ``waiting`` is called with the holder and since when.

        Several may hold it ``shared``. The kernel drops a flock with its holder, so a killed mmrace
        leaves no stale lock.
        """
        self.locks.mkdir(parents=True, exist_ok=True)
        path = self.locks / name.replace("/", "_")
        with path.open("a+", encoding="utf-8") as file:
            if shared:
                fcntl.flock(file, fcntl.LOCK_SH)
                yield
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting(f"waiting for {name}: {_owner(path)}")
                fcntl.flock(file, fcntl.LOCK_EX)
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
            with suppress(OSError):  # a full disk is no reason to go without the lock
                file.truncate(0)
                file.write(json.dumps(owner))
                file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def build_lock(name: str) -> str:
    """Name of the lock of one build directory."""
    return f"bench-{name}"


def program_lock(name: str) -> str:
    """Name of the lock of one folder of programs."""
    return f"program-{name}"


def source_lock(name: str) -> str:
    """Name of the lock of one source that builds share."""
    return f"source-{name}"


CCACHE_LOCK = "ccache"  # shared by builds

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise UserError(f"MMRACE_HOME_LIMIT={text!r} is not a size; give one such as 20G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _now() -> float:
    """Seconds since the host was started, by a clock that cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _owner(path: Path) -> str:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"held by process {held['pid']} for {max(0, _now() - held['since']):.0f} s"
    except (OSError, ValueError, KeyError):
        return "held by another mmrace"


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file by rename, so that a reader or a kill never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode() if isinstance(content, str) else content
    with temporary_file(path.parent) as (fd, made):
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(raw)
            os.fchmod(file.fileno(), 0o644)
        made.rename(path)


def publish(made: Path, final: Path) -> Path:
    """Move a finished directory to its name; if another process was first, theirs stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    return final
