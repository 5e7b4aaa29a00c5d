# SPDX-License-Identifier: GPL-2.0-only
"""Whether an order shows a failure: made small, replayed from another boot, set against none."""

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

# Seconds without any order, and those for a failure to show after one: the first pair is taken in
# whose time the race seldom shows of itself.
PACES = ((1.0, 0.4), (0.4, 0.4), (0.15, 0.4), (0.05, 0.3))
CONTROLS = 6
PATIENCE = 1.0  # of a witness, in seconds
LOOK_PATIENCE = 0.4, 2.0  # least and most of the replays that look for an order
LOOK_SECONDS = 1.6, 4.0  # likewise, of one that screens an order
SLOWNESS = 3.0  # of a guest that has just been restored: all of its code is translated anew
SURE_SECONDS = 4.0  # of one that makes sure of it: its first point may be reached seldom
PROOF_SECONDS = 4.0  # of a replay that proves a witness
TRIES, MISSES = 5, 2  # replays of an order that is one that fails, and how many may hold
SCREEN = 10  # replays from the snapshot that an order was found on, before another boot is made
PROOFS = 20  # replays from there, which say how often the witness fails
PROVEN = 0.9  # share of them that has to
CHANCE = 0.01  # of failing so much more often than machines without the order, if it did nothing


@dataclass(frozen=True)
class Proof:
    """Replays of an order.

    ``unheld``: of as many machines, let go for as long without the order, so many failed; None
    where that was not looked at.
    """

    replays: tuple[Replay, ...] = ()
    unheld: int | None = None

    @property
    def shown(self) -> int:
        """Replays that failed right after the order."""
        return sum(replay.shown for replay in self.replays)

    @property
    def holds(self) -> bool:
        """Whether it is the order that fails: a race that shows of itself would as well.

        By Fisher's exact test, one-sided. A replay may carry the order out several times; a
        machine without it had as long.
        """
        total = len(self.replays)
        if not total or self.shown < PROVEN * total:
            return False
        if self.unheld is None:
            return True
        shown = [[self.shown, total - self.shown], [self.unheld, total - self.unheld]]
        return bool(stats.fisher_exact(shown, alternative="greater").pvalue <= CHANCE)


@dataclass(frozen=True)
class Proven:
    """An order, the witness that it makes, and its proof, which may not hold."""

    order: Steps
    witness: Witness
    proof: Proof


Boot = Callable[[], AbstractContextManager[Snapshot]]
Renamer = Callable[[str], Sequence[str]]


class Prover:
    """Proves orders on one snapshot and on other boots of the same cell.

    ``names`` gives the names that may stand for a point of an order, best first; ``between`` the
    seconds between two visits of a point, as far as they are known, else 0.
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

    def calibrate(self) -> int:
        """Choose a pace at which the race seldom shows of itself; how many of CONTROLS did."""
        shown = 0
        for self._pace in PACES:
            shown = sum(self._shows_itself(self._kept, self._pace[0]) for _ in range(CONTROLS))
            if shown <= CONTROLS // 6:
                break
        return shown

    def shows(self, order: Steps) -> bool:
        """Whether one replay of an order shows the failure right after it."""
        return any(one.shown for one in self._look(order, 1, self._wait(order[:1], LOOK_SECONDS)))

    def prove(
        self,
        hits: tuple[Hit, ...],
        seconds: float,
        tell: Callable[[str], None],
        shown: Steps = (),
    ) -> Proven | None:
        """Make hits that failed small, name them, and prove what is left.

        ``seconds``: limit for finding the order. ``shown``: an order of these hits that failed
        once, which is tried first. None where no order fails again.
        """
        self._give_up = time.monotonic() + seconds
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
        """Replace each point by the first of its names with which the order fails as well."""
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
        """Whether an order shows the failure; nothing is tried when the time is over."""
        if time.monotonic() > self._give_up:
            return Trial(False, len(order))
        shown = missed = 0
        for replay in self._look(order, TRIES, SURE_SECONDS):
            shown += replay.shown
            missed += not replay.shown
            if missed > MISSES:
                steps = replay.attempts[0].steps
                early = replay.failed and 0 < steps < len(order)
                steps = steps if early or not replay.failure else len(order)
                return Trial(False, steps, early, shown > 0)
        return Trial(True, len(order))

    def _prove(self, order: Steps) -> Proof:
        """Replays from another boot, or from this one where they do not prove the order even here.

        One snapshot may stand so near to the failure that anything at all brings it about.
        """
        here = Proof(tuple(self._replays(self._kept, order, SCREEN, PROOF_SECONDS)))
        if not here.holds:
            return here
        with self._boot() as other:
            replays = tuple(self._replays(other, order, PROOFS, PROOF_SECONDS))
            spans = [replay.seconds - replay.restore for replay in replays]
            return Proof(replays, sum(self._shows_itself(other, span) for span in spans))

    def _look(self, order: Steps, times: int, seconds: float) -> Iterator[Replay]:
        """Replays that look for an order: one that cannot be carried out costs little."""
        patience = self._wait(order[1:], LOOK_PATIENCE)
        return self._replays(self._kept, order, times, seconds, patience, 1)

    def _wait(self, steps: Steps, limits: tuple[float, float]) -> float:
        """How long a point of these steps may take to be reached."""
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
