# SPDX-License-Identifier: GPL-2.0-only
"""What a killed mmrace leaves behind: temporary files and directories that nobody holds any more.

Whoever makes one holds a flock on it. The kernel drops that with the process, whatever ended it, so
what can be locked is nobody's: no process ids, which come again, and no clocks, which jump.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".tmp-held-"  # not what an mmrace that held nothing has made, and may still use
HELD = "mmrace-held-"  # in directories that are not mmrace's own


def shared_memory() -> Path:
    """Where a guest's sockets and memory go: files in memory, where the host has such a place."""
    folder = Path("/dev/shm")  # noqa: S108
    return folder if folder.is_dir() else Path(tempfile.gettempdir())


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
    """Lock a file or directory; None when somebody else has, or has removed it meanwhile."""
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


def sweep(folders: Iterable[Path], pattern: str = f"{PREFIX}*") -> int:
    """Remove what nobody holds; returns how many there were."""
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
