# SPDX-License-Identifier: GPL-2.0-only
"""How this invocation takes in series that come from outside."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmrace.definitions.base import Base
from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.patching.kept import keep_series, kept_series
from mmrace.patching.patch import Series
from mmrace.patching.series import resolve_series

_GONE = "its files are gone; as it was when it was last used"


@dataclass(frozen=True)
class Intake:
    """``stdin`` reads what ``-`` denotes; ``sandboxed``: programs that read a series run in a
    sandbox.

    ``kept``: a run's folder of series, which are taken as they were then.
    """

    stdin: Callable[[], bytes] = bytes
    sandboxed: bool = True
    kept: Path | None = None

    def resolve(self, home: Home, names: Iterable[str], base: Base) -> list[Series]:
        """Read series by name; what came on standard input is kept, to be had again.

        Raises UserError when there is no such series, or it is damaged.
        """
        return [self._resolve(home, self._kept(home, name), base) for name in names]

    def _resolve(self, home: Home, name: str, base: Base) -> Series:
        """Read one series; one whose file is gone is what it was when it was last used."""
        if self.kept and (kept := kept_series(self.kept, name, "as the run has it")):
            return kept
        gone = Path(name).is_absolute() and not _there(name)
        if gone and (kept := kept_series(home.mails, name, _GONE)):
            return kept
        series = resolve_series(name, base)
        if series.outside and series.patches:
            keep_series(home, series)
        return series

    def _kept(self, home: Home, name: str) -> str:
        if name != "-":
            return name
        raw = self.stdin()
        if not raw.strip():
            raise UserError("standard input holds no patch; give a mailbox, or name a file")
        path = home.mails / f"{hashlib.sha256(raw).hexdigest()[:16]}.mbox"
        write_file(path, raw)
        return str(path)


def _there(name: str) -> bool:
    """Whether there is the file, directory or repository that a name begins with."""
    return Path(name).exists() or Path(name.rpartition("#")[0] or name).exists()


def series_notes(series: Iterable[Series]) -> list[str]:
    """What people should know about series from outside, and about their patches."""
    notes = []
    for item in series:
        notes += [f"{item.name}: {note}" for note in item.notes]
        if item.outside:
            notes += [f"{patch.name}: {note}" for patch in item.patches for note in patch.notes]
    return notes
