# SPDX-License-Identifier: GPL-2.0-only
"""A hunt: a search from the workload alone for a schedule that shows a race, and its proof."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.window import Window
from mmrace.errors import UserError
from mmrace.experiments.session import Session
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.hunting.proof import Proof, Proven, Prover
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.replay import start
from mmrace.runs.workload import JOB_SECONDS
from mmrace.searching.boots import CellBoots
from mmrace.searching.bound import bound
from mmrace.searching.explanation import Line, explain
from mmrace.searching.files import DEFAULT
from mmrace.searching.ground import Ground, survey
from mmrace.searching.naming import Names
from mmrace.searching.proving import Suspects, prove_failure
from mmrace.searching.search import Search, Tried
from mmrace.searching.windowing import windows_of
from mmrace.symbols.symbolizer import Vmlinux
from mmrace.windows.director import build
from mmrace.windows.search import Tactics


@dataclass(frozen=True)
class Hunted:
    """The end of a hunt.

    ``first``: seconds of race phases until the first failure, None when there was none. ``lost``:
    failures of which no order is proven. ``control``: how many of CONTROLS guests failed without
    any order in the time of a replay. ``story`` tells the witness, ``windows`` are made of it.
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
    proven: Proven | None = None
    story: tuple[Line, ...] = ()
    windows: tuple[Window, ...] = ()

    @property
    def proof(self) -> Proof:
        """The proof of the witness; one of nothing when there is none."""
        return self.proven.proof if self.proven else Proof()

    @property
    def bound(self) -> float:
        """Probability with which one schedule by priorities finds a bug of the tactics' depth."""
        return bound(self.vcpus, self.tactics.length, self.tactics.depth)

    @property
    def missed(self) -> float:
        """Probability with which all of them missed such a bug, at most."""
        return self.tried.missed(self.tactics, self.vcpus)

    def document(self, out: str) -> dict[str, Any]:
        """What goes into JSON; ``out`` is where a witness was written."""
        proof, tried = self.proof, self.tried
        coverage = tried.coverage
        return {
            "race": self.race.name,
            "workload": self.workload.name,
            "accel": self.accel.name,
            "kvm": steering_under_kvm(self.accel),
            "witness": out if self.proven else None,
            "steps": len(self.proven.order) if self.proven else None,
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
            "tried": {
                **{key: value for key, value in asdict(tried).items() if key != "coverage"},
                "pairs": len(coverage.pairs),
                "pairs_by_schedules": coverage.growth,
                "unseen": coverage.unseen,
            },
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
    """Search for ``options.seconds`` of wall time; schedules are drawn with ``options.seed``.

    Raises UserError for files that the kernel does not have; InfraError when QEMU fails or the race
    does not start.
    """
    if options.accel == "kvm":
        raise UserError("a search holds vCPUs by a QEMU plugin, which needs TCG; --accel tcg")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    built = session.build(tree, series, options, race)
    own = options.with_(seconds=JOB_SECONDS, at_most=None, seed=1, steer=False, accel="tcg")
    cell = session.planner.plan(built, race, workload, own)
    with session.step(f"sites of {race.name}/{workload.name}") as tell:
        tell("reading the kernel's debug information")
        name = f"{race.name}-{workload.name}"
        ground = survey(session.home, built.resolver(), built.kernel.id, name, files)
    with session.step(f"hunt {race.name}/{workload.name}") as tell:
        hunted = _hunt(session, built, cell, ground, seed, options.seconds, tell)
        tell(f"= {told(hunted)}")
    return hunted


def _hunt(
    session: Session,
    built: Built,
    cell: Cell,
    ground: Ground,
    seed: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Hunted:
    spec, parts = cell.spec, cell.parts(session.home)
    begun = time.monotonic()
    boots = CellBoots(session.home, spec, parts, build(session.home))
    search = Search(boots, ground.sites, ground.marks, ground.profile, seed=seed)
    resolver = built.resolver()
    names = Names(resolver, ground.sites)
    suspects = Suspects(names)
    hunted = Hunted(
        spec.race, spec.workload, parts.accel, spec.machine.cpus, seed, 0.0, search.tactics,
        search.tried, len(ground.profile.pairs),
    )  # fmt: skip

    def left() -> float:
        return begun + seconds - time.monotonic()

    def begin() -> Any:
        return start(session.home, spec, parts)

    with begin() as kept:
        prover = Prover(
            kept, begin, spec, resolver, f"found by mmrace hunt, seed {seed}", names.symbolic
        )
        for failure in search.failures(begun + seconds, tell):
            if hunted.control is None:
                hunted = replace(hunted, first=search.tried.seconds, control=prover.calibrate())
            proven = prove_failure(prover, suspects, failure, left, tell)
            if proven and proven.proof.shown > hunted.proof.shown:
                hunted = replace(hunted, proven=proven)
            if hunted.proof.holds:
                break
            hunted = replace(hunted, lost=hunted.lost + 1)
    hunted = replace(hunted, seconds=time.monotonic() - begun, profiled=len(search.profile.pairs))
    if not hunted.proven:
        return hunted
    vmlinux = Vmlinux(built.kernel.vmlinux, session.home)
    return replace(
        hunted,
        story=explain(hunted.proven.witness, resolver, vmlinux),
        windows=windows_of(
            hunted.proven.order,
            spec.workload.name,
            lambda point: names.partner(point, search.profile.ranked()),
        ),
    )


@contextmanager
def keeping(ground: Ground, search: Search) -> Iterator[None]:
    """Store what a search has profiled, however it ends."""
    try:
        yield
    finally:
        ground.keep(search.profile)


def told(hunted: Hunted) -> str:
    """The end of a hunt in a few words."""
    if not hunted.proven:
        failures = hunted.tried.failures
        return "none found" if not failures else f"no order found for {failures} failures"
    steps = f"a witness of {len(hunted.proven.order)} steps"
    return steps if hunted.proof.holds else f"{steps}, not proven"
