# SPDX-License-Identifier: GPL-2.0-only
"""The places of a campaign's runs: a campaign that was killed finds those that it has made.

A run names its place in its own record, so what is there is there whole and once: the rename that
finishes a run is also what counts it. The same command continues a campaign until its result was
printed; after that it makes a new one.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.outcome import Outcome
from mmrace.runs.record import RunDir

_MEMORY = 3 << 30  # bytes of a guest of two nodes, with QEMU's own


@dataclass(frozen=True)
class Slots:
    """One campaign: its name, and the runs that it had when it was begun or gone on with."""

    name: str
    runs: dict[str, RunDir]
    path: Path
    number: int

    def slot(self, place: str) -> str:
        """Return the name that a run at this place carries."""
        return f"{self.name}/{place}"

    def end(self) -> None:
        """Let the next campaign of this kind be a new one: the user has this one's result."""
        write_file(self.path, json.dumps({"number": self.number, "open": False}))

    def find(self, place: str) -> RunDir | None:
        """Return the run that was made for a place, None when there is none yet."""
        return self.runs.get(self.slot(place))


def able_slots() -> int:
    """Guests that this host's cores and memory can carry, one at least."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)) // 2, memory // _MEMORY))


def campaign_key(*parts: object) -> str:
    """Name a campaign by all that its result depends on."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def campaign_slots(home: Home, key: str, waiting: Callable[[str], None]) -> Iterator[Slots]:
    """Begin a campaign, or go on with one that was not ended; one process at a time has it."""
    with home.lock(f"campaign-{key}", waiting):
        path = home.data / "campaigns" / f"{key}.json"
        number, is_open = _state(path)
        number += 0 if is_open else 1
        name = f"{key}-{number}"
        write_file(path, json.dumps({"number": number, "open": True}))
        yield Slots(name, _runs(home, name) if is_open else {}, path, number)


def _state(path: Path) -> tuple[int, bool]:
    try:
        content = json.loads(path.read_bytes())
        return int(content["number"]), bool(content["open"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, False


def _runs(home: Home, name: str) -> dict[str, RunDir]:
    """Finished runs of one campaign, by slot, the latest of each.

    Those that the host spoilt are made again.
    """
    found: dict[str, RunDir] = {}
    mark = f'"{name}/'.encode()
    for folder in sorted(home.runs.glob("[!.]*")):
        try:
            if mark in (folder / "spec.json").read_bytes() and (folder / "outcome.json").is_file():
                run = RunDir(folder)
                if run.judgement().outcome is not Outcome.INFRA:
                    found[run.spec().slot] = run
        except (OSError, UserError):  # removed meanwhile, or not a run of ours
            continue
    return found
