# SPDX-License-Identifier: GPL-2.0-only
"""A hunt: a search for a schedule that shows a race, given only its workload, and the proof."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrace.definitions.race import Race, Workload
from mmrace.errors import InfraError, UserError
from mmrace.executors.executor import Executor, UnderWay, as_ended
from mmrace.experiments.hunter import LOST, Finding, Hunter, Tell, plan_search
from mmrace.experiments.session import Session
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.hunting.minimise import Steps
from mmrace.hunting.proof import Proof
from mmrace.outcome import Outcome
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.searching.boots import Boot
from mmrace.searching.bound import bound
from mmrace.searching.explanation import Line
from mmrace.searching.files import DEFAULT
from mmrace.searching.search import Tried
from mmrace.windows.search import Tactics


@dataclass(frozen=True)
class Hunted:
    """The result of a hunt.

    ``first``: seconds of race phases until the first failure, None when there was none. ``lost``:
    number of failures without a proven order. ``control``: how many of CONTROLS guests failed
    without any order within the time of a replay. ``runs``: its boots, in the order in which they
    ended.
    """

    race: Race
    workload: Workload
    accel: Accel
    vcpus: int
    seed: int
    seconds: float
    tactics: Tactics
    tried: Tried
    profiled: int
    first: float | None = None
    lost: int = 0
    control: int | None = None
    finding: Finding | None = None
    runs: tuple[RunDir, ...] = ()

    @property
    def proof(self) -> Proof:
        """The proof of the witness; an empty Proof when there is no witness."""
        return self.finding.proof if self.finding else Proof()

    @property
    def order(self) -> Steps:
        """The order that was found; empty when there is none."""
        return self.finding.proven.order if self.finding else ()

    @property
    def story(self) -> tuple[Line, ...]:
        """The order's steps, with lines of source."""
        return self.finding.story if self.finding else ()

    @property
    def bound(self) -> float:
        """Least probability that one schedule by priorities finds a bug of the tactics' depth."""
        return bound(self.vcpus, self.tactics.length, self.tactics.depth)

    @property
    def missed(self) -> float:
        """Probability, at most, that all schedules by priorities missed such a bug."""
        return self.tried.missed(self.tactics, self.vcpus)

    def document(self, out: str) -> dict[str, Any]:
        """The JSON document; ``out``: path of the witness file."""
        proof, tried = self.proof, self.tried
        return {
            "race": self.race.name,
            "workload": self.workload.name,
            "accel": self.accel.name,
            "kvm": steering_under_kvm(self.accel),
            "witness": out if self.finding else None,
            "steps": len(self.order) or None,
            "replays": len(proof.replays),
            "failed": sum(item.failed for item in proof.replays),
            "failed_unheld": proof.unheld,
            "proven": proof.holds,
            "seed": self.seed,
            "depth": self.tactics.depth,
            "hits_ordered": self.tactics.length,
            "bound": self.bound,
            "missed_at_most": self.missed,
            "first_failure": self.first,
            "lost": self.lost,
            "control": self.control,
            "profiled_pairs": self.profiled,
            "tried": tried.as_json(),
            "story": [{"actor": line.actor, "text": line.words} for line in self.story],
        }


def hunt_race(
    session: Session,
    tree: str,
    series: Sequence[str],
    race: Race,
    workload: Workload,
    options: RunOptions,
    files: Sequence[str] = DEFAULT,
) -> Hunted:
    """Search for ``options.seconds`` of wall time; ``options.seed`` seeds the random schedules.

    ``files``: patterns of the source files whose accesses are watched. Raises UserError when the
    kernel has no such file; InfraError when QEMU fails or the guest does not reach the race phase.
    """
    if options.accel == "kvm":
        raise UserError("a search holds vCPUs by a QEMU plugin, which needs TCG; say --accel tcg")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    built = session.build(tree, series, options, race)
    cell = plan_search(session, built, race, workload, options)
    with (
        Hunter(session, built, cell, seed, files) as hunter,
        session.step(f"hunt {race.name}/{workload.name}") as tell,
    ):
        hunted = _hunt(hunter, session.executor, options.seconds, tell)
        tell(f"= {summarise(hunted)}")
    return hunted


def _hunt(hunter: Hunter, executor: Executor, seconds: float, tell: Tell) -> Hunted:
    begun, first = time.monotonic(), None
    end = begun + seconds
    failed: list[Boot] = []
    runs: list[RunDir] = []
    lost = 0

    def begin() -> UnderWay[Boot] | None:
        left = end - time.monotonic()
        return hunter.begin(left) if left > 0 and not failed else None

    while end > time.monotonic() and not hunter.proven:
        failed.clear()
        for ended in as_ended(executor, begin):
            boot = ended.end()
            runs.append(boot.run)
            tell(hunter.search.words)
            lost = lost + 1 if boot.judgement.outcome is Outcome.INFRA else 0
            if lost == LOST:
                raise InfraError(f"{LOST} boots of a hunt in a row: {boot.judgement.title}")
            if boot.failed:
                first = hunter.search.tried.seconds if first is None else first
                failed.append(boot)
        for boot in failed:
            if not hunter.proven:
                hunter.prove(boot, end - time.monotonic(), tell)
    search = hunter.search
    return Hunted(
        hunter.spec.race,
        hunter.spec.workload,
        hunter.parts.accel,
        hunter.spec.machine.cpus,
        hunter.seed,
        time.monotonic() - begun,
        search.tactics,
        search.tried,
        len(search.profile.pairs),
        first,
        hunter.lost,
        hunter.control,
        hunter.finding,
        tuple(runs),
    )


def summarise(hunted: Hunted) -> str:
    """The end of a hunt in a few words."""
    if not hunted.finding:
        failures = hunted.tried.failures
        return "none found" if not failures else f"no order found for {failures} failures"
    steps = f"a witness of {len(hunted.order)} steps"
    return steps if hunted.proof.holds else f"{steps}, not proven"
