# SPDX-License-Identifier: GPL-2.0-only
"""What one run of an experiment does on a kernel: a workload of a race, or a witness followed."""

from dataclasses import dataclass

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.witness import Witness
from mmrace.errors import UserError
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner


def witnessed(race: Race, witness: Witness) -> str:
    """Return the workload that a witness is of; UserError when it is of another race."""
    if witness.race != race.name:
        raise UserError(f"witness is of race {witness.race}, not of {race.name}; omit --race")
    return witness.workload


@dataclass(frozen=True)
class Work:
    """A workload with the user's choices; with ``witness`` its schedule is replayed.

    A replay takes machine and seed from its witness. It has held when it reached the witness's
    first sync point and nothing failed.
    """

    race: Race
    workload: Workload
    options: RunOptions
    witness: Witness | None = None

    @classmethod
    def choose(
        cls,
        race: Race,
        options: RunOptions,
        release: str = "",
        workload: str | None = None,
        witness: Witness | None = None,
    ) -> "Work":
        """Return a witness's schedule, the workload named, or that of the race's first path.

        ``release``: the kernel's, which says what it can run; empty where it is not known yet.

        Raises UserError for a workload that the race does not have, or a witness of another race.
        """
        if witness:
            workload = witnessed(race, witness)
        decided = race.paths(release, workload).decided
        return cls(race, next(iter(decided.values())), options, witness)

    def plan(self, planner: Planner, built: Built, seed: int, slot: str = "") -> Cell:
        """Return the cell that does it on a kernel, at a place of a campaign."""
        options = self.options.with_(seed=seed)
        if self.witness:
            return planner.plan_replay(built, self.race, self.witness, options, slot=slot)
        return planner.plan(built, self.race, self.workload, options, slot=slot)

    def key(self) -> tuple[object, ...]:
        """All that its result on a kernel depends on, but the seed."""
        witness = self.witness.model_dump() if self.witness else None
        options = self.options.model_dump()
        return self.race.model_dump(), self.workload.name, options, witness
