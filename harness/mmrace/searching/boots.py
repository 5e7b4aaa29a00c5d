# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a search: a cell with a plan for the director gives an outcome and a log."""

from dataclasses import dataclass, replace
from typing import Protocol

from mmrace.executors.executor import Executor, UnderWay
from mmrace.judging import channel
from mmrace.outcome import Judgement
from mmrace.progress import unseen
from mmrace.runs.cell import Cell
from mmrace.runs.record import RunDir, new_id
from mmrace.runs.searched import read_searched
from mmrace.windows.director import race_phase
from mmrace.windows.plan import Plan
from mmrace.windows.search import Searched

HELD = "under random schedules, which `mmrace again` does not repeat"
WATCHED = "memory accesses were watched, no vCPU was held"


@dataclass(frozen=True)
class Boot:
    """The result of one boot.

    ``seconds``: from the start of the race phase to the failure, or to the end of the run.
    ``armed``: seconds for which the director made schedules, also after a failure.
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


@dataclass(frozen=True)
class Slot:
    """A boot's slot in a campaign ("" for none) and its seed (None for any)."""

    name: str = ""
    seed: int | None = None


ANY = Slot()


class BootMaker(Protocol):
    """Begins a boot with a plan for the director and at least ``seconds`` of the workload.

    ``slot``: name of the boot's slot in a campaign, "" for none.
    """

    def __call__(self, plan: Plan, seed: int, seconds: float, slot: str = "") -> UnderWay[Boot]:
        """Begin the boot; its ``end`` raises InfraError when QEMU cannot be started."""
        ...


@dataclass(frozen=True)
class CellBoots:
    """Makes boots of one cell by an executor; each has a run directory of its own."""

    executor: Executor
    cell: Cell

    def __call__(self, plan: Plan, seed: int, seconds: float, slot: str = "") -> UnderWay[Boot]:
        """Begin a run of the cell with this plan."""
        spec = self.cell.spec
        own = spec.model_copy(
            update={
                "id": new_id(spec.race.name, spec.workload.name),
                "seed": seed,
                "slot": slot,
                "notes": (*spec.notes, HELD if plan.search and plan.search.holds else WATCHED),
                "options": spec.options.with_(seconds=seconds, at_most=seconds),
            }
        )
        planned = self.cell.model_copy(update={"spec": own, "plan": replace(plan, seed=seed)})
        future = self.executor.submit(lambda: (planned,), unseen)
        return UnderWay(future, lambda: read_boot(*future.result()))


def read_boot(run: RunDir) -> Boot:
    """Read the result of a search's boot; InfraError for a run that no search made."""
    searched, armed = read_searched(run)
    return Boot(run.judgement(), searched, race_seconds(run), armed, run)


def race_seconds(run: RunDir) -> float:
    """Seconds from the start of the race phase to the failure, or to the end of the run."""
    output, times = run.channel(), run.times("channel")
    judged, vm = run.judgement(), run.vm()
    started = channel.second_of(times, channel.parse(output).started or 0) or 0.0
    begins = _race(output, announced=run.spec().workload.announces_race)
    raced = channel.second_of(times, begins) or started
    failed = judged.seconds_to_failure
    end = started + failed if failed is not None else vm.seconds
    return max(0.0, end - raced)


def _race(output: bytes, *, announced: bool) -> int:
    """Offset of the line at which the director is armed first: the zero of a search's log."""
    at = 0
    for line in output.splitlines(keepends=True):
        if race_phase(line.decode(errors="replace").rstrip(), announced):
            return at
        at += len(line)
    return 0
