# SPDX-License-Identifier: GPL-2.0-only
"""A hunt: schedules searched for one that shows a race."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmrace.definitions.race import Race, Workload
from mmrace.errors import UserError
from mmrace.experiments.session import Session
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.hunting.hunt import Found, Search, hunt
from mmrace.runs.cell import JOB_SECONDS
from mmrace.runs.options import RunOptions


@dataclass(frozen=True)
class Hunted:
    """The end of a hunt, and how its guests ran."""

    race: Race
    workload: Workload
    accel: Accel
    found: Found

    def document(self, out: Path) -> dict[str, Any]:
        """What goes into JSON; ``out`` is where a witness was written."""
        found, proof = self.found, self.found.proof
        return {
            "race": self.race.name,
            "workload": self.workload.name,
            "accel": self.accel.name,
            "kvm": steering_under_kvm(self.accel),
            "witness": str(out) if found.witness else None,
            "steps": len(found.witness.step) if found.witness else None,
            "replays": len(proof.replays),
            "failed": sum(item.failed for item in proof.replays),
            "failed_unheld": proof.unheld,
            "proven": proof.holds,
            "functions": list(found.search.functions),
            "seed": found.search.seed,
            "depth": found.search.depth,
            "hits_ordered": found.search.hits,
            "bound": found.bound,
            "missed_at_most": found.missed,
            "tried": asdict(found.tried),
        }


def hunt_race(
    session: Session,
    tree: str,
    series: Sequence[str],
    race: Race,
    workload: Workload,
    functions: Sequence[str],
    depth: int,
    hits: int,
    options: RunOptions,
) -> Hunted:
    """Search for ``options.seconds`` of wall time; schedules are drawn with ``options.seed``.

    Raises UserError when there is nothing to hold at; InfraError when QEMU fails or the race does
    not start.
    """
    if not functions:
        raise UserError(f"race {race.name} names no functions; give some by --function")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    search = Search(tuple(functions), depth, hits, options.seconds, seed)
    built = session.build(tree, series, options, race)
    accel = "tcg" if options.accel == "auto" else options.accel
    own = options.with_(seconds=JOB_SECONDS, at_most=None, seed=1, steer=False, accel=accel)
    spec, parts = session.planner.plan(built, race, workload, own)
    with session.step(f"hunt {race.name}/{workload.name}") as tell:
        found = hunt(session.home, spec, parts, built.resolver(), search, tell)
        tell(f"= {_told(found)}")
    return Hunted(race, workload, parts.accel, found)


def _told(found: Found) -> str:
    if not found.witness:
        return "none found"
    steps = f"a witness of {len(found.witness.step)} steps"
    return steps if found.proof.holds else f"{steps}, not proven"
