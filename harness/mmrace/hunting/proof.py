# SPDX-License-Identifier: GPL-2.0-only
"""Whether an order causes a failure: minimised, replayed from another boot, compared with none."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mmrace.definitions.witness import Witness
from mmrace.guests.attempts import Replay
from mmrace.guests.scheduler import Scheduler, place
from mmrace.guests.snapshot import Snapshot
from mmrace.guests.turns import Turns
from mmrace.hunting.minimise import Steps, Trial, minimise
from mmrace.hunting.order import Hit
from mmrace.judging.oracle import Oracle
from mmrace.lazy import Lazy
from mmrace.runs.record import Spec
from mmrace.symbols.resolve import Resolver

stats = Lazy("scipy.stats")

# (seconds of a guest without any order, seconds for a failure to show after an order): the first
# pair is used within whose first time the race seldom shows by itself.
PACES = ((1.0, 0.4), (0.4, 0.4), (0.15, 0.4), (0.05, 0.3))
CONTROLS = 6
PATIENCE = 1.0  # seconds that a witness waits for an actor to reach its point
LOOK_PATIENCE = 0.8, 2.0  # seconds, least and most, of the same in replays that try orders
LOOK_SECONDS = 2.5, 4.0  # seconds, least and most, of one replay that screens an order
SLOWNESS = 3.0  # factor, just after a restore, as TCG translates all code anew
SURE_SECONDS = 4.0  # seconds of a replay that confirms an order: its first point may be rare
PROOF_SECONDS = 6.0  # seconds of a replay that proves a witness
TRIES, MISSES = 5, 1  # replays that confirm an order, and how many of them may hold
TIMES = 5  # how often, at most, each of these carries the order out
LONGER = 1.5  # factor, by which such replays of a smaller or renamed order may take longer
SCREEN = 10  # replays from the first snapshot, before another boot is made
PROOFS = 20  # replays from the other boot, which measure how often the witness fails
PROVEN = 0.9  # share of replays that has to fail
CHANCE = 0.01  # significance level, against guests without the order


@dataclass(frozen=True)
class Proof:
    """Replays of an order.

    ``unheld``: how many of as many guests failed that ran as long without the order; None when
    there were no such guests.
    """

    replays: tuple[Replay, ...] = ()
    unheld: int | None = None

    @property
    def shown(self) -> int:
        """Number of replays that failed right after the order."""
        return sum(replay.shown for replay in self.replays)

    @property
    def holds(self) -> bool:
        """Whether the order causes the failure.

        A race that fails by itself would fail without it too. One-sided Fisher's exact test at
        ``CHANCE``. A replay may carry the order out several times; a guest without it ran for as
        long.
        """
        total = len(self.replays)
        if not total or self.shown < PROVEN * total:
            return False
        if self.unheld is None:
            return True
        shown = [[self.shown, total - self.shown], [self.unheld, total - self.unheld]]
        return bool(stats.fisher_exact(shown, alternative="greater").pvalue <= CHANCE)


@dataclass(frozen=True)
class Needed:
    """What an order needed to fail: another one in its place may need no more.

    Replays that held, and of all replays the most times that one carried the order out; seconds.
    """

    misses: int = MISSES
    times: int = TIMES
    seconds: float = math.inf


@dataclass(frozen=True)
class Proven:
    """An order, the witness made of it, and its proof, which may not hold."""

    order: Steps
    witness: Witness
    proof: Proof


Boot = Callable[[], AbstractContextManager[Snapshot]]
Renamer = Callable[[str], Sequence[str]]


class Prover:
    """Proves orders on one snapshot and on other boots of the same cell.

    ``names``: returns the names that may stand for a point of an order, best first. ``between``:
    returns the seconds between two visits of a point, 0 if unknown.
    """

    def __init__(
        self,
        kept: Snapshot,
        boot: Boot,
        spec: Spec,
        resolver: Resolver,
        note: str,
        names: Renamer = lambda _point: (),
        between: Callable[[str], float] = lambda _point: 0.0,
    ) -> None:
        self._kept = kept
        self._boot = boot
        self._spec = spec
        self._resolver = resolver
        self._note = note
        self._names = names
        self._between = between
        self._give_up = 0.0
        self._pace = PACES[0]
        self._needed = Needed()

    def calibrate(self) -> int:
        """Choose a pace at which the race seldom fails by itself.

        Return how many of CONTROLS did.
        """
        shown = 0
        for self._pace in PACES:
            shown = sum(self._shows_itself(self._kept, self._pace[0]) for _ in range(CONTROLS))
            if shown <= CONTROLS // 6:
                break
        return shown

    def look(self, order: Steps) -> Replay:
        """Replay an order once, for a short time."""
        return next(iter(self._look(order, 1, self._wait(order[:1], LOOK_SECONDS), 1)))

    def prove(
        self,
        hits: tuple[Hit, ...],
        seconds: float,
        tell: Callable[[str], None],
        shown: Steps = (),
    ) -> Proven | None:
        """Minimise hits that failed, name their points, and prove what is left.

        ``seconds``: limit for finding the order. ``shown``: an order of these hits that failed
        once; it is tried first. Returns None when no order fails again.
        """
        self._give_up = time.monotonic() + seconds
        self._needed = Needed()
        tell("looking for the least order that fails")
        order = minimise(hits, self._attempt, shown)
        if not order:
            return None
        self._give_up = time.monotonic() + seconds
        tell(f"naming the points of {len(order)} steps")
        order = self._named(order)
        tell(f"proving an order of {len(order)} steps from another boot")
        return Proven(order, self.witness(order), self._prove(order))

    def witness(self, order: Steps) -> Witness:
        """Return an order as a witness."""
        spec = self._spec
        return Witness(
            race=spec.race.name,
            workload=spec.workload.name,
            machine=spec.machine.name,
            seed=spec.seed,
            found_on=spec.kernel_id,
            release=spec.release,
            note=self._note,
            patience=PATIENCE,
            settle=self._pace[1],
            step=order,
        )

    def _named(self, order: Steps) -> Steps:
        """Replace each point by the first of its names with which the order still fails."""
        for number, step in enumerate(order):
            for name in self._names(step.point[0]) if step.point else ():
                renamed = step.model_copy(update={"point": (name,)})
                changed = (*order[:number], renamed, *order[number + 1 :])
                if self._attempt(changed).failed:
                    order = changed
                    break
        return order

    def _oracle(self) -> Oracle:
        return Oracle(self._spec.race, self._spec.workload)

    def _shows_itself(self, snapshot: Snapshot, seconds: float) -> bool:
        turns = Turns(snapshot.restore(), self._oracle())
        failure = turns.let_go(seconds)
        return failure is not None and failure.signature_matched

    def _attempt(self, order: Steps) -> Trial:
        """Try whether an order causes the failure; after the time limit no replay is made."""
        if time.monotonic() > self._give_up:
            return Trial(False, len(order))
        shown = missed = times = 0
        spent = 0.0
        for replay in self._look(order, TRIES, SURE_SECONDS, self._needed.times):
            shown += replay.shown
            times = max(times, replay.completions)
            missed += not replay.shown
            spent += replay.seconds - replay.restore
            if missed > self._needed.misses or spent > LONGER * self._needed.seconds:
                steps = replay.attempts[0].steps
                early = replay.failed and 0 < steps < len(order)
                steps = steps if early or not replay.failure else len(order)
                return Trial(False, steps, early, shown > 0)
        self._needed = Needed(missed, times, spent)
        return Trial(True, len(order))

    def _prove(self, order: Steps) -> Proof:
        """Return replays from another boot; from this boot when even those do not prove the order.

        A single snapshot may be so close to the failure that any order leads to it.
        """
        here = Proof(tuple(self._replays(self._kept, order, SCREEN, PROOF_SECONDS)))
        if not here.holds:
            return here
        with self._boot() as other:
            replays = tuple(self._replays(other, order, PROOFS, PROOF_SECONDS))
            spans = [replay.seconds - replay.restore for replay in replays]
            return Proof(replays, sum(self._shows_itself(other, span) for span in spans))

    def _look(self, order: Steps, times: int, seconds: float, completions: int) -> Iterator[Replay]:
        """Make short replays: an order that cannot be carried out costs little time."""
        patience = self._wait(order[1:], LOOK_PATIENCE)
        return self._replays(self._kept, order, times, seconds, patience, completions)

    def _wait(self, steps: Steps, limits: tuple[float, float]) -> float:
        """Seconds to wait for the points of these steps, within ``limits``."""
        longest = max((self._between(step.point[0]) for step in steps if step.point), default=0.0)
        return min(max(limits[0], SLOWNESS * longest), limits[1])

    def _replays(
        self,
        snapshot: Snapshot,
        order: Steps,
        times: int,
        seconds: float,
        patience: float = PATIENCE,
        completions: float = math.inf,
    ) -> Iterator[Replay]:
        witness = self.witness(order).model_copy(update={"patience": patience})
        placed = place(witness, self._resolver)
        scheduler = Scheduler(snapshot, witness, placed, self._oracle)
        return (scheduler.replay(seconds, completions) for _ in range(times))
