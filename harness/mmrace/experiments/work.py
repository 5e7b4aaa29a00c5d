# SPDX-License-Identifier: GPL-2.0-only
"""What one run of an experiment does on a kernel: run a workload, or replay a witness."""

from dataclasses import dataclass

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.witness import Witness
from mmrace.errors import UserError
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner


def witnessed(race: Race, witness: Witness) -> str:
    """Return a witness's workload; UserError when the witness is of another race."""
    if witness.race != race.name:
        raise UserError(f"witness is of race {witness.race}, not of {race.name}; omit --race")
    return witness.workload


@dataclass(frozen=True)
class Work:
    """A workload with the user's choices; with ``witness`` its schedule is replayed.

    A replay takes machine and seed from its witness. It holds if it reached the witness's first
    sync point and nothing failed.
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
        """Return the work for a witness, for a named workload, or for the race's first path.

        ``release``: the kernel's release, which decides which workloads can run; "": not known yet.
        Raises UserError for a workload that the race does not have, or a witness of another race.
        """
        if witness:
            workload = witnessed(race, witness)
        decided = race.paths(release, workload).decided
        return cls(race, next(iter(decided.values())), options, witness)

    def plan(self, planner: Planner, built: Built, seed: int, slot: str = "") -> Cell:
        """Return the cell of one run on a kernel; ``slot``: its place in a campaign."""
        options = self.options.with_(seed=seed)
        if self.witness:
            return planner.plan_replay(built, self.race, self.witness, options, slot=slot)
        return planner.plan(built, self.race, self.workload, options, slot=slot)

    def key(self) -> tuple[object, ...]:
        """All inputs, except for the seed, that the result on a given kernel depends on."""
        witness = self.witness.model_dump() if self.witness else None
        options = self.options.model_dump()
        return self.race.model_dump(), self.workload.name, options, witness
