# SPDX-License-Identifier: GPL-2.0-only
"""What the home holds, by kind, size and last use; and what of it goes when it holds too much."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.home import CCACHE_LOCK, Home, build_lock, program_lock, source_lock
from mmrace.leftover import take_away

# Trees are not here: a user added them, `mmrace tree` is their place.
KINDS = (
    *("builds", "sources", "packs", "kernels", "programs", "images", "downloads"),
    *("reports", "runs", "bisections", "ccache"),
)
# What can be made again, in the order in which it goes where it was used at the same time.
REBUILT = ("packs", "builds", "kernels", "programs", "images", "downloads", "sources", "ccache")
_LOCKS: dict[str, Callable[[str], str]] = {
    "builds": build_lock,
    "programs": program_lock,
    "sources": source_lock,
    "ccache": lambda _name: CCACHE_LOCK,
}
# The compiler cache keeps itself under a share of the limit, and saves more time than anything.
_DROPPED = ("packs", "builds", "kernels", "programs", "images", "downloads")
SIZE = (
    "bytes"  # in a build directory's state.json: what it takes, without files that others link to
)
_SPARE = 2 * 10**9  # bytes of the disk that are left to others
_NOTES = ("requests", "objects")  # beside the kernels: what was asked for, and how large it is
_FRESH = 3600.0  # seconds in which a download may not have been imported yet


@dataclass(frozen=True)
class Holding:
    """One object in the home; ``size`` in bytes, ``age`` in seconds since it was last used."""

    kind: str
    path: Path
    size: int
    age: float


@dataclass(frozen=True)
class Dropped:
    """What was dropped to keep the home under its limit; ``held`` and ``limit`` in bytes."""

    items: tuple[Holding, ...]
    held: int
    limit: int

    def __add__(self, later: "Dropped") -> "Dropped":
        """Both, one after the other."""
        return Dropped((*self.items, *later.items), later.held, later.limit)

    def __str__(self) -> str:
        """One line; empty when nothing was dropped and the home is under its limit."""
        parts = []
        if self.items:
            counts = ", ".join(
                f"{sum(item.kind == kind for item in self.items)} {_WORDS[kind]}"
                for kind in REBUILT
                if any(item.kind == kind for item in self.items)
            )
            parts.append(f"dropped {counts} ({size_text(sum(item.size for item in self.items))})")
        if self.held > self.limit:
            parts.append(
                f"the home holds {size_text(self.held)}, its limit is {size_text(self.limit)}; "
                "`mmrace clean` shows what is in it"
            )
        return "; ".join(parts)


_WORDS = {
    "packs": "packs of sources",
    "builds": "build directories",
    "sources": "sources",
    "kernels": "kernels",
    "programs": "programs",
    "images": "images",
    "downloads": "downloads",
    "ccache": "compiler caches",
}


def holdings(home: Home, kinds: Iterable[str] = KINDS) -> tuple[Holding, ...]:
    """Every object in the home, kind by kind."""
    now = time.time()
    found = []
    for kind in kinds:
        top: Path = getattr(home, kind)
        for path in _objects(top, kind):
            try:
                size = _build_size(path) if kind == "builds" else _size(path)
                found.append(Holding(kind, path, size, now - _used(path)))
            except OSError:  # it went away meanwhile
                continue
    return tuple(found)


def totals(held: tuple[Holding, ...]) -> dict[str, tuple[int, int]]:
    """Number of objects and bytes for each kind."""
    return {
        kind: (
            sum(1 for item in held if item.kind == kind),
            sum(item.size for item in held if item.kind == kind),
        )
        for kind in KINDS
    }


def drop(home: Home, item: Holding) -> bool:
    """Remove an object, unless a process builds in it or uses it."""
    if item.kind not in _LOCKS:
        return take_away(item.path)
    with home.free(_LOCKS[item.kind](item.path.name)) as nobody:
        return nobody and take_away(item.path)


def choose(
    held: Iterable[Holding], kinds: Sequence[str], days: int | None, *, full: bool
) -> list[Holding]:
    """What `mmrace clean` frees: of some kinds, or of all but runs, what was not used for a while.

    Without a number of days that is 30, and on a full disk no age for what can be made again.
    """

    def old(item: Holding) -> bool:
        if days is None and full and item.kind in REBUILT:
            return True
        return item.age > (30 if days is None else days) * 86400

    return [
        item
        for item in held
        if old(item) and (item.kind in kinds if kinds else item.kind != "runs")
    ]


@dataclass(frozen=True)
class Cleaned:
    """What the home held, what was chosen of it, and what is in use and stays.

    ``dropped``: whether the rest of what was chosen is gone, or would be.
    """

    totals: Mapping[str, tuple[int, int]]
    chosen: tuple[Holding, ...]
    kept: tuple[Holding, ...]
    dropped: bool


def clean(home: Home, kinds: Sequence[str], days: int | None, *, really: bool) -> Cleaned:
    """Free what ``choose`` chooses, or only look what that is."""
    held = holdings(home)
    chosen = choose(held, kinds, days, full=full(home))
    kept = [item for item in chosen if really and not drop(home, item)]
    return Cleaned(totals(held), tuple(chosen), tuple(kept), really)


def make_room(home: Home, more_bytes: int = 0) -> Dropped:
    """Drop what was used longest ago until the home, and ``more_bytes`` more, are below its limit.

    On a disk that others have filled the limit is what the disk has.
    """
    held = holdings(home)
    total = sum(item.size for item in held) + _size(home.trees)
    limit = min(home.limit, total + _free(home) - _SPARE)
    gone: list[Holding] = []
    candidates = [
        item
        for item in held
        if item.kind in _DROPPED and (item.kind != "downloads" or item.age > _FRESH)
    ]
    for item in sorted(candidates, key=lambda one: -one.age):
        if total + more_bytes <= limit:
            break
        if drop(home, item):
            gone.append(item)
            total -= item.size
    if total + more_bytes > limit and not any(home.builds.glob("[!.]*")):
        for item in held:  # their files are linked to by no build directory any more
            if item.kind == "sources" and drop(home, item):
                gone.append(item)
                total -= item.size
    return Dropped(tuple(gone), total, home.limit)


def full(home: Home) -> bool:
    """Whether the disk of the home has next to no room left."""
    return _free(home) < _SPARE


def measure(folder: Path, *, links: bool = False) -> int:
    """Bytes on disk of what is below a folder; with ``links`` also of files with several names."""
    total = 0
    for top, _, files in os.walk(folder):
        for name in ("", *files):
            try:
                state = os.lstat(os.path.join(top, name))  # noqa: PTH118  80,000 of them
            except OSError:  # it went away meanwhile
                continue
            total += state.st_blocks * 512 if links or not name or state.st_nlink == 1 else 0
    return total


def size_text(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def _free(home: Home) -> int:
    there = next(path for path in (home.cache, *home.cache.parents) if path.exists())
    return shutil.disk_usage(there).free


def _objects(top: Path, kind: str) -> list[Path]:
    if not top.is_dir():
        return []
    if kind == "ccache":
        return [top]
    if kind == "downloads":
        return sorted(path for path in top.rglob("*.tar.*") if path.is_file())
    return sorted(
        path
        for path in top.iterdir()
        if not path.name.startswith(".")
        and not path.is_symlink()
        and (kind != "kernels" or path.name not in _NOTES)
        and (path.is_file() if kind in ("images", "packs") else path.is_dir())
    )


def _used(path: Path) -> float:
    """When an object was used last: a build directory's state is written by each of its builds."""
    if path.is_file():
        return path.stat().st_ctime  # a download's time of change is its packager's
    state = path / "state.json"
    return max(path.stat().st_mtime, state.stat().st_mtime if state.is_file() else 0)


def _build_size(path: Path) -> int:
    """What a build directory takes: noted there, for it has 100,000 files."""
    try:
        return int(json.loads((path / "state.json").read_bytes())[SIZE])
    except (OSError, ValueError, KeyError, TypeError):
        return measure(path)


def _size(path: Path) -> int:
    """What an object takes, files with several names as well."""
    return path.stat().st_blocks * 512 if path.is_file() else measure(path, links=True)
