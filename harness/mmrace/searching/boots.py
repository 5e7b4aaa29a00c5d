# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a search: a cell with a director's plan becomes an outcome and a log."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mmrace.home import Home
from mmrace.judging import channel
from mmrace.outcome import Judgement
from mmrace.runs.parts import Parts
from mmrace.runs.record import RunDir, Spec, new_id
from mmrace.runs.workload import run_workload
from mmrace.windows.director import Director, race_phase
from mmrace.windows.plan import Plan
from mmrace.windows.search import Searched

HELD = "under random schedules, which `mmrace again` does not repeat"
WATCHED = "memory accesses were watched, nobody was held"


@dataclass(frozen=True)
class Boot:
    """What one boot showed.

    ``seconds`` from the start of the race phase to the failure, or to the end of the run;
    ``armed``: for which the director scheduled, beyond a failure too.
    """

    judgement: Judgement
    searched: Searched
    seconds: float
    armed: float
    run: RunDir

    @property
    def failed(self) -> bool:
        """Whether the race's own failure showed."""
        return self.judgement.signature_matched


class BootMaker(Protocol):
    """Boots once with a plan for the director, ``seconds`` of the workload at least."""

    def __call__(self, plan: Plan, seed: int, seconds: float) -> Boot:
        """Boot; InfraError when QEMU cannot be started."""
        ...


@dataclass(frozen=True)
class CellBoots:
    """Boots of one cell on this machine, each a run directory of its own."""

    home: Home
    spec: Spec
    parts: Parts
    plugin: Path
    tell: Callable[[str], None] = lambda _text: None

    def __call__(self, plan: Plan, seed: int, seconds: float) -> Boot:
        """Run the cell with this plan."""
        spec = self.spec.model_copy(
            update={
                "id": new_id(self.spec.race.name, self.spec.workload.name),
                "seed": seed,
                "notes": (*self.spec.notes, HELD if plan.search and plan.search.holds else WATCHED),
                "options": self.spec.options.with_(seconds=seconds, at_most=seconds),
            }
        )
        director = Director(replace(plan, seed=seed), self.plugin)
        run = run_workload(self.home, spec, replace(self.parts, director=director), self.tell)
        seconds, armed = race_seconds(run), director.armed_seconds
        return Boot(run.judgement(), director.searched(), seconds, armed, run)


def race_seconds(run: RunDir) -> float:
    """Seconds from the race phase's start to the failure or the end of a run."""
    said, times = run.channel(), run.times("channel")
    judged, vm = run.judgement(), run.vm()
    started = channel.second_of(times, channel.parse(said).started or 0) or 0.0
    raced = channel.second_of(times, _race(said)) or started
    failed = judged.seconds_to_failure
    end = started + failed if failed is not None else vm.seconds
    return max(0.0, end - raced)


def _race(said: bytes) -> int:
    """Offset of the line that begins the race phase, as a stressor announces it."""
    at = 0
    for line in said.splitlines(keepends=True):
        if race_phase(line.decode(errors="replace").rstrip(), announced=True):
            return at
        at += len(line)
    return 0
