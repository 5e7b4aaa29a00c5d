# SPDX-License-Identifier: GPL-2.0-only
"""The one place that knows where mmrace's data files are."""

from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = {"races": "harness/races", "packages.txt": "harness/packages.txt"}


def data_dir(kind: str) -> Path:
    """Where one kind of data is: ``configs``, ``patches``, ``qemu``, ``races``, ``packages.txt``.

    An installed wheel carries them in ``mmrace/_data``, a checkout where people edit them.
    """
    bundled = _PACKAGE / "_data"
    if bundled.is_dir():
        return bundled / kind
    return _PACKAGE.parents[1] / _CHECKOUT.get(kind, kind)


_own_races: list[Path] = []


def use_races(folders: Iterable[Path]) -> None:
    """Look for races in these folders too; an entry point calls this once."""
    _own_races[:] = folders


def race_folders() -> tuple[Path, ...]:
    """Folders of races: mmrace's own, then the user's; some may not exist."""
    return (data_dir("races"), *_own_races)
