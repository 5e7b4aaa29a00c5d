# SPDX-License-Identifier: GPL-2.0-only
"""Locks that show use: temporary files without a holder, and objects that no process uses.

A process that makes a temporary file, or uses a kernel or a program, holds a flock on it. The
kernel drops the flock with the process, whatever ended it, so an object that can be locked is
unused. Process ids, which are used again, and clocks, which jump, play no part.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PREFIX = ".tmp-held-"  # not what an mmrace that held nothing has made, and may still use
HELD = "mmrace-held-"  # in directories that are not mmrace's own


def shared_memory() -> Path:
    """Where a guest's sockets and memory go: files in memory, where the host has such a place."""
    folder = Path("/dev/shm")  # noqa: S108
    return folder if folder.is_dir() else Path(tempfile.gettempdir())


_kept: dict[Path, int] = {}  # what this process uses till its end: descriptors that hold the locks


@contextmanager
def temporary_directory(beside: Path, prefix: str = PREFIX) -> Iterator[Path]:
    """Yield an empty directory that is held; it is gone at the end, unless it was renamed."""
    beside.mkdir(parents=True, exist_ok=True)
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=beside))
        held = hold(made)
        if held is not None:
            break
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


@contextmanager
def temporary_file(beside: Path) -> Iterator[tuple[int, Path]]:
    """Yield the descriptor and the path of a new file that is held; gone at the end as well."""
    while True:
        fd, name = tempfile.mkstemp(prefix=PREFIX, dir=beside)
        held = hold(Path(name))
        if held is not None:
            break
        os.close(fd)
    try:
        yield fd, Path(name)
    finally:
        os.close(fd)
        Path(name).unlink(missing_ok=True)
        os.close(held)


def hold(path: Path) -> int | None:
    """Lock a file or directory; None when another process has locked or removed it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), path.lstat()):
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def keep(path: Path) -> bool:
    """Use an object until this process ends; False when it is gone, or being removed.

    Its time of change says when it was used last.
    """
    kept = _kept.get(path)
    if kept is not None and _still(kept, path):
        return True
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if _still(fd, path):
            with suppress(OSError):  # a file system that is read-only has no use of the time
                os.utime(path)
            _kept[path] = fd
            return True
    except OSError:
        pass
    os.close(fd)
    return False


@contextmanager
def using(paths: Iterable[Path]) -> Iterator[None]:
    """Keep objects from being removed for a while; those that do not exist are left out.

    Their time of change says when they were used last.
    """
    with ExitStack() as stack:
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_SH)
            with suppress(OSError):
                os.utime(path)
        yield


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a directory, made if need be: no other process removes or holds it meanwhile.

    The lock is on the directory, so it also holds for processes that reach it through another home.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if _still(fd, folder):
            break
        os.close(fd)
    try:
        yield
    finally:
        os.close(fd)


def take_away(path: Path) -> bool:
    """Remove an object that no process uses: its name at once, its content after that."""
    held = hold(path)
    if held is None:
        return False
    try:
        gone = Path(tempfile.mktemp(prefix=PREFIX, dir=path.parent))  # noqa: S306  a rename
        path.rename(gone)
        if gone.is_dir():
            shutil.rmtree(gone, ignore_errors=True)
        else:
            gone.unlink()
    except OSError:
        return False
    finally:
        os.close(held)
    return True


def _still(fd: int, path: Path) -> bool:
    """Whether a path leads to what was opened."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def sweep(folders: Iterable[Path], pattern: str = f"{PREFIX}*") -> int:
    """Remove what no process holds; returns the number of removed objects."""
    count = 0
    for folder in folders:
        for path in folder.glob(pattern):
            held = hold(path)
            if held is None:
                continue
            with suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                count += 1
            os.close(held)
    return count
