# SPDX-License-Identifier: GPL-2.0-only
"""Watches what a tight sandbox uses in all: what no limit of a single process can say."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mmrace.sandbox import Limits

_INTERVAL = 0.3  # seconds between two looks
_SHARE = 0.05  # of one CPU that looking through the files may take


class Guard:
    """Looks at a process and all below it until it is closed; ``stop`` is called once."""

    def __init__(
        self, pid: int, limits: Limits, folders: Sequence[Path], stop: Callable[[], None]
    ) -> None:
        self.reason = ""
        self._pid, self._limits, self._folders, self._stop = pid, limits, folders, stop
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        due = 0.0
        while not self._closed.wait(_INTERVAL):
            self.reason = _memory_excess(self._pid, self._limits)
            started = time.monotonic()
            if not self.reason and started >= due:
                self.reason = _disk_excess(self._folders, self._limits)
                due = time.monotonic() + (time.monotonic() - started) / _SHARE
            if self.reason:
                self._stop()
                return


def _memory_excess(pid: int, limits: Limits) -> str:
    used = memory_below(pid)
    if used <= limits.memory:
        return ""
    return f"its processes took {_size(used)} of memory, {_size(limits.memory)} are allowed"


def memory_below(pid: int) -> int:
    """Bytes that a process and all below it hold for themselves."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for child in _below(pid):
        if text := _read(Path(f"/proc/{child}/statm")):
            resident, shared = text.split()[1:3]
            total += max(0, int(resident) - int(shared)) * page
    return total


def waited_below(pid: int) -> dict[int, float]:
    """Seconds that threads of a process and all below it were ready to run and had no CPU.

    From ``/proc/PID/task/TID/schedstat`` (Documentation/scheduler/sched-stats.rst); nothing where
    the host's kernel does not count them.
    """
    found = {}
    for child in _below(pid):
        for path in Path(f"/proc/{child}/task").glob("[0-9]*/schedstat"):
            words = _read(path).split()
            if len(words) == 3:
                found[int(path.parent.name)] = int(words[1]) / 1e9
    return found


def _below(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if text := _read(folder / "stat"):
            parents[int(folder.name)] = int(text.rpartition(")")[2].split()[1])
    return [child for child in parents if _is_below(child, pid, parents)]


def _is_below(child: int, pid: int, parents: dict[int, int]) -> bool:
    seen = child
    while seen and seen != pid:
        seen = parents.get(seen, 0)
    return seen == pid


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:  # it has ended
        return ""


def _disk_excess(folders: Sequence[Path], limits: Limits) -> str:
    size = count = 0
    for folder in folders:
        for top, _, names in os.walk(folder):
            count += 1 + len(names)
            for name in names:
                try:
                    size += os.lstat(os.path.join(top, name)).st_blocks * 512  # noqa: PTH118
                except OSError:  # it is gone already
                    continue
            if size > limits.disk:
                return f"it wrote more than the {_size(limits.disk)} that are allowed"
            if count > limits.files:
                return f"it made more than the {limits.files} files that are allowed"
    return ""


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
