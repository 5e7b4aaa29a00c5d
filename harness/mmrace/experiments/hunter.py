# SPDX-License-Identifier: GPL-2.0-only
"""The search of one kernel under one workload, and the proof of its findings."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.window import Window
from mmrace.errors import UserError
from mmrace.executors.executor import UnderWay
from mmrace.experiments.session import Session
from mmrace.hunting.minimise import Steps
from mmrace.hunting.proof import Proof, Proven, Prover
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.replay import start
from mmrace.runs.workload import JOB_SECONDS
from mmrace.searching.boots import Boot, CellBoots
from mmrace.searching.explanation import Line, explain
from mmrace.searching.files import DEFAULT
from mmrace.searching.ground import Ground, survey
from mmrace.searching.naming import Names
from mmrace.searching.proving import FAILURE_SECONDS, Hits, Suspects, prove_failure
from mmrace.searching.search import Search, examine
from mmrace.searching.seeding import NONE, Seeds
from mmrace.searching.windowing import orders_of, windows_of
from mmrace.symbols.symbolizer import Vmlinux

LOST = 3  # consecutive boots with outcome INFRA after which the search ends
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """An order that shows the failure, with its proof so far.

    ``story``: its steps with lines of source. ``windows``: windows for race.toml made from it.
    """

    proven: Proven
    story: tuple[Line, ...] = ()
    windows: tuple[Window, ...] = ()

    @property
    def proof(self) -> Proof:
        """The replays of the order."""
        return self.proven.proof


def plan_search(
    session: Session, built: Built, race: Race, workload: Workload, options: RunOptions
) -> Cell:
    """Plan the cell that all boots of a search share; NotHereError if its workload cannot run."""
    own = options.with_(seconds=JOB_SECONDS, at_most=None, seed=1, steer=False, accel="tcg")
    return session.planner.plan(built, race, workload, own)


class Hunter:
    """Boots of one cell under schedules, and proof of their failures; use as a context manager.

    Leaving the context stores the profile, also after an exception.
    """

    def __init__(
        self,
        session: Session,
        built: Built,
        cell: Cell,
        seed: int,
        files: Sequence[str] = DEFAULT,
    ) -> None:
        """``seed``: of the random schedules; ``files``: patterns of the source files to watch."""
        self.seed = seed
        self.spec = cell.spec
        self.parts = cell.parts(session.home)
        self.finding: Finding | None = None
        self.lost = 0  # number of failures without a proven order
        self.control: int | None = None  # how many guests failed without any order
        self.ground: Ground
        self._session = session
        self._built = built
        self._cell = cell
        self._files = files
        self._seeds = NONE
        self._stack = ExitStack()
        self._prover: Prover | None = None
        self._searching_since = 0.0  # monotonic

    def __enter__(self) -> "Hunter":
        """Read the kernel's access sites and the workload's profile; UserError for an unknown file.

        The first time for a kernel this takes some seconds.
        """
        race, workload = self.spec.race.name, self.spec.workload.name
        with self._session.step(f"sites of {race}/{workload}") as tell:
            tell("reading the kernel's debug information")
            resolver, kernel = self._built.resolver(), self._built.kernel.id
            self.ground = survey(
                self._session.home, resolver, kernel, f"{race}-{workload}", self._files
            )
        self._searching_since = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        with self._stack:
            if "search" in vars(self):
                self._keep()

    def _keep(self) -> None:
        """Store the profile for later searches; a failure to write is only noted."""
        try:
            self.ground.keep(self.search.profile)
        except OSError as error:
            self._session.note(f"the profile is not kept: {error}")

    def sow(self, seeds: Seeds) -> None:
        """Add accesses to be scheduled besides those of the profile; call before the first boot."""
        self._seeds = seeds

    @cached_property
    def search(self) -> Search:
        """The search that makes the boots."""
        boots, ground = CellBoots(self._session.executor, self._cell), self.ground
        return Search(
            boots, ground.sites, ground.marks, ground.profile, seed=self.seed, seeds=self._seeds
        )

    def begin(self, seconds: float) -> UnderWay[Boot]:
        """Begin the next boot of the search, with at most ``seconds`` of the workload."""
        return self.search.begin(seconds)

    def prove(self, boot: Boot, seconds: float, tell: Tell) -> Finding | None:
        """Look for ``seconds`` for an order that reproduces a boot's failure.

        For a failure that took long to find it looks as long, if need be: the next is as far away.
        Return the best so far. Raises InfraError when QEMU fails or the guest does not reach the
        race phase.
        """
        patience = max(FAILURE_SECONDS, time.monotonic() - self._searching_since)
        failure = examine(boot, self._function)
        found = self._prove(self._suspects.of(failure), seconds, tell, patience)
        self._searching_since = time.monotonic()
        return found

    def prove_windows(self, seconds: float, tell: Tell) -> Finding | None:
        """Look for an order, made from the race's windows, that reproduces its failure.

        See ``prove``. Windows with a sync point that this kernel lacks are left out.
        """
        orders = orders_of(self.spec.race.windows_for(self.spec.workload.name))
        here = [order for order in orders if self._has(order)]
        return self._prove([((), order) for order in here], seconds, tell)

    def _has(self, order: Steps) -> bool:
        """Whether this kernel has all sync points of an order."""
        resolver = self._built.resolver()
        with suppress(UserError):
            return all(resolver.resolve(step.point) for step in order if step.point)
        return False

    def _prove(
        self,
        suspects: Iterable[tuple[Hits, Steps]],
        seconds: float,
        tell: Tell,
        patience: float = FAILURE_SECONDS,
    ) -> Finding | None:
        end = time.monotonic() + seconds
        prover = self._ready_prover()
        found = prove_failure(prover, suspects, lambda: end - time.monotonic(), tell, patience)
        if found and (not self.finding or found.proof.shown > self.finding.proof.shown):
            self.finding = self._describe(found)
        self.lost += not self.proven
        return self.finding

    @property
    def missed(self) -> float:
        """Probability, at most, that the search missed a bug of its tactics' depth."""
        search = self.search
        return search.tried.missed(search.tactics, self.spec.machine.cpus)

    @property
    def proven(self) -> bool:
        """Whether an order was found whose proof holds."""
        return bool(self.finding and self.finding.proof.holds)

    @cached_property
    def _functions(self) -> dict[int, str]:
        return {site.address: site.function for site in self.ground.sites if not site.beside}

    def _function(self, address: int) -> str:
        """The function of an access in one of the chosen files; "" for another one."""
        return self._functions.get(address, "")

    @cached_property
    def _names(self) -> Names:
        return Names(self._built.resolver(), self.ground.sites)

    @cached_property
    def _suspects(self) -> Suspects:
        return Suspects(self._names)

    def _ready_prover(self) -> Prover:
        if not self._prover:
            home, spec, parts = self._session.home, self.spec, self.parts
            kept = self._stack.enter_context(start(home, spec, parts))
            self._prover = Prover(
                kept,
                lambda: start(home, spec, parts),
                spec,
                self._built.resolver(),
                f"found by mmrace, seed {self.seed}",
                self._names.symbolic,
                self._suspects.seconds_between,
            )
            self.control = self._prover.calibrate()
        return self._prover

    def _describe(self, proven: Proven) -> Finding:
        resolver = self._built.resolver()
        vmlinux = Vmlinux(self._built.kernel.vmlinux, self._session.home)
        ranked = self.search.profile.ranked()
        return Finding(
            proven,
            explain(proven.witness, resolver, vmlinux, self._names.address),
            windows_of(
                proven.order,
                self.spec.workload.name,
                lambda point: self._names.partner(point, ranked),
            ),
        )
