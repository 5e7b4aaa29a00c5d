# SPDX-License-Identifier: GPL-2.0-only
"""A witness replayed several times on one kernel, from one snapshot."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrace.definitions.race import load_race
from mmrace.definitions.witness import Witness
from mmrace.experiments.session import Session
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.runs.options import RunOptions
from mmrace.runs.replay import Replays, follow


@dataclass(frozen=True)
class Replayed:
    """All replays of one witness on one kernel, and how the guest was started."""

    witness: Witness
    accel: Accel
    replays: Replays

    @property
    def exit_code(self) -> int:
        """1: the race's own failure; 0: every replay carried out the schedule and held; else 3."""
        done = self.replays
        if done.failed:
            return 1
        return 0 if done.complete == len(done.done) and not done.foreign else 3

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        done = self.replays
        return {
            "race": self.witness.race,
            "accel": self.accel.name,
            "kvm": steering_under_kvm(self.accel),
            "replays": len(done.done),
            "failed": done.failed,
            "shown": done.shown,
            "reached": done.reached,
            "complete": done.complete,
            "infeasible": done.infeasible,
            "foreign": list(done.foreign),
            "stalls": sum(item.stalls for item in done.done),
            "seconds": round(sum(done.seconds), 3),
            "seconds_median": round(statistics.median(done.seconds), 3),
            "seconds_longest": round(max(done.seconds), 3),
            "runs": [run.as_json() for run in done.runs],
        }


def follow_witness(
    session: Session,
    witness: Witness,
    tree: str,
    series: Sequence[str],
    times: int,
    options: RunOptions,
) -> Replayed:
    """Replay a witness ``times`` times, each for at most ``options.seconds`` of wall time."""
    race = load_race(witness.race)
    built = session.build(tree, series, options, race)
    if built.kernel.id != witness.found_on:
        session.note(f"witness found on {witness.release}, kernel {witness.found_on}")
    cell = session.planner.plan_replay(built, race, witness, options)
    with session.step(f"replay on {built.name}") as tell:
        done = follow(session.home, cell.spec, cell.parts(session.home), times, tell)
        tell(f"= {done.failed} of {times} failed")
    return Replayed(witness, cell.accel, done)
