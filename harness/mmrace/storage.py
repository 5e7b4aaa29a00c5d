# SPDX-License-Identifier: GPL-2.0-only
"""What the home holds, by kind and age."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mmrace.home import Home

# Trees are not here: a user added them, `mmrace tree` is their place.
KINDS = ("benches", "kernels", "programs", "reports", "runs", "bisections", "ccache")


@dataclass(frozen=True)
class Holding:
    """One object in the home; ``size`` in bytes, ``age`` in seconds since it was last changed."""

    kind: str
    path: Path
    size: int
    age: float


def holdings(home: Home) -> tuple[Holding, ...]:
    """Every object in the home, kind by kind."""
    now = time.time()
    found = []
    for kind in KINDS:
        top: Path = getattr(home, kind)
        for path in _objects(top, kind):
            found.append(Holding(kind, path, _size(path), now - path.stat().st_mtime))
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


def _objects(top: Path, kind: str) -> list[Path]:
    if not top.is_dir():
        return []
    return [top] if kind == "ccache" else sorted(path for path in top.iterdir() if path.is_dir())


def _size(path: Path) -> int:
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_blocks * 512
            except OSError:  # it went away meanwhile
                continue
    return total
