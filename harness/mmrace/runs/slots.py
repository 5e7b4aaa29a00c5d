# SPDX-License-Identifier: GPL-2.0-only
"""The places of runs in a campaign, by which a campaign that was killed finds its runs.

Each run records its place, and is published whole by rename, so a place has at most one complete
run. The same command continues a campaign until its result was printed; after that it begins a new
one.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import Home, write_file
from mmrace.outcome import Outcome
from mmrace.runs.record import RunDir

_MEMORY = 3 << 30  # bytes of host memory for a guest with two NUMA nodes, and for QEMU


@dataclass(frozen=True)
class Slots:
    """One campaign: its name, and the runs that it had when it was begun or resumed.

    ``seed``: a random number, drawn when the campaign was begun.
    """

    name: str
    runs: dict[str, RunDir]
    path: Path
    number: int
    seed: int

    def slot(self, place: str) -> str:
        """Return the name that a run at this place records."""
        return f"{self.name}/{place}"

    def place(self, slot: str) -> str:
        """Return the place of a run with this name; the reverse of ``slot``."""
        return slot.removeprefix(f"{self.name}/")

    def end(self) -> None:
        """End the campaign, as the user has its result; the next one is new."""
        write_file(self.path, json.dumps({"number": self.number, "open": False}))

    def find(self, place: str) -> RunDir | None:
        """Return the run at a place, None when there is none yet."""
        return self.runs.get(self.slot(place))


def able_slots() -> int:
    """Number of guests that this host's cores and memory can carry, at least one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)) // 2, memory // _MEMORY))


def campaign_key(*parts: object) -> str:
    """Return a name for a campaign, made of all that its result depends on."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def campaign_slots(home: Home, key: str, waiting: Callable[[str], None]) -> Iterator[Slots]:
    """Begin a campaign, or resume one that has not ended; one process at a time may hold it.

    ``waiting`` is called with a line for people.
    """
    with home.lock(f"campaign-{key}", waiting):
        path = home.data / "campaigns" / f"{key}.json"
        number, is_open, seed = _state(path)
        number += 0 if is_open else 1
        seed = seed if is_open else secrets.randbelow(2**31)
        name = f"{key}-{number}"
        write_file(path, json.dumps({"number": number, "open": True, "seed": seed}))
        yield Slots(name, _runs(home, name) if is_open else {}, path, number, seed)


def _state(path: Path) -> tuple[int, bool, int]:
    try:
        content = json.loads(path.read_bytes())
        return int(content["number"]), bool(content["open"]), int(content.get("seed", 0))
    except (OSError, ValueError, KeyError, TypeError):
        return 0, False, 0


def _runs(home: Home, name: str) -> dict[str, RunDir]:
    """Finished runs of one campaign by slot; of several in one slot the latest.

    Runs with the outcome INFRA are left out, so that they are made again.
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
