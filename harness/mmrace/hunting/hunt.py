# SPDX-License-Identifier: GPL-2.0-only
"""Looks for an order in which a race shows, given only names of functions."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from scipy.stats import fisher_exact

from mmrace.definitions.point import Point, Where, parse_point
from mmrace.definitions.witness import Witness
from mmrace.errors import UserError
from mmrace.guests.scheduler import Replay, Scheduler, place
from mmrace.guests.snapshot import Snapshot
from mmrace.guests.turns import Turns
from mmrace.home import Home
from mmrace.hunting import pct
from mmrace.hunting.explore import Explorer, Walk
from mmrace.hunting.minimise import Steps, Trial, minimise
from mmrace.judging.oracle import Oracle
from mmrace.runs import cell
from mmrace.runs.record import Spec
from mmrace.runs.replay import start
from mmrace.symbols.resolve import Occurrence, Resolver

WALK_SECONDS = 1.5  # of one schedule, whatever its hits
MINIMISE_SECONDS = 30.0  # in which a failure's order is looked for: the next one comes sooner
# Seconds without any order, and those for a failure to show after one: the first pair is taken in
# whose time the race seldom shows of itself.
PACES = ((1.0, 0.4), (0.4, 0.4), (0.15, 0.4), (0.05, 0.3))
CONTROLS = 6
# Of one schedule, beside the functions' entries: QEMU looks through all breakpoints at each jump,
# and goes by single instructions in pages that have one.
POINTS = 12
SURVEY_SECONDS = 0.8  # in which it is seen who comes to so many points
PATIENCE = 0.5
PROOF_SECONDS = 2.0  # of a replay that proves a witness
TRIES = 4  # replays in which an order has to fail each time, to be one that fails
SCREEN = 10  # replays from the snapshot that an order was found on, before another boot is made
PROOFS = 20  # replays from there, which say how often the witness fails
PROVEN, AT_ONCE = 0.9, 0.7  # shares of them that have to, and at the first attempt
CHANCE = 0.01  # of failing so much more often than machines without the order, if it did nothing


@dataclass(frozen=True)
class Search:
    """What to try: names of functions, and the schedules' depth and number of hits."""

    functions: tuple[str, ...]
    depth: int
    hits: int
    seconds: float
    seed: int


@dataclass
class Tried:
    """What has been tried.

    ``lost``: failures of which no order came that shows them again in nearly all replays.
    ``early``: schedules that found the race shown before they began.
    ``control``: how many of ``CONTROLS`` machines that were let go without any order failed in
    the ``pace``, the seconds of a replay.
    """

    points: int = 0
    actors: int = 0
    schedules: int = 0
    hits: int = 0
    blocked: int = 0
    failures: int = 0
    lost: int = 0
    early: int = 0
    stalls: int = 0
    control: int = 0
    pace: float = 0.0
    foreign: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


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

        By Fisher's exact test, one-sided.
        """
        total = len(self.replays)
        at_once = sum(one.shown and len(one.attempts) == 1 for one in self.replays)
        if not total or self.shown < PROVEN * total or at_once < AT_ONCE * total:
            return False
        if self.unheld is None:
            return True
        shown = [[self.shown, total - self.shown], [self.unheld, total - self.unheld]]
        return bool(fisher_exact(shown, alternative="greater").pvalue <= CHANCE)


@dataclass(frozen=True)
class Found:
    """The end of a hunt: a witness and what proves it, or none."""

    tried: Tried
    search: Search
    witness: Witness | None = None
    proof: Proof = Proof()

    @property
    def bound(self) -> float:
        """Probability with which one schedule finds a bug of that depth, at least."""
        found = pct.bound(max(self.tried.actors, 1), self.search.hits, self.search.depth)
        return found * pct.picked(self.tried.points, POINTS, self.search.depth)

    @property
    def missed(self) -> float:
        """Probability with which such a bug was missed, at most."""
        return pct.missed(self.bound, self.tried.schedules)


def choose_points(resolver: Resolver, functions: Sequence[str]) -> dict[int, str]:
    """What can be held in these functions: their entries and returns, and after each call.

    UserError when the kernel has none of the functions; a function that it does not have, and a
    place that has a condition, are left out.
    """
    texts: list[str] = []
    for name in functions:
        texts += [str(Point(where, name)) for where in (Where.ENTRY, Where.RETURN)]
        try:
            inside = resolver.occurrences(name)
        except UserError:
            continue
        texts += _behind_calls(name, inside)
    found: dict[int, str] = {}
    for text in texts:
        try:
            resolved = resolver.resolve((text,))
        except UserError:
            continue
        if not resolved.gate:
            found |= {address: text for address in resolved.addresses if address not in found}
    if not found:
        raise UserError(f"{resolver.kernel} has nothing to hold at in {', '.join(functions)}")
    return found


def _behind_calls(function: str, inside: Sequence[Occurrence]) -> list[str]:
    """Each call of its own, as counts of hits would mean something else where several are one."""
    found = []
    for callee in sorted({item.name for item in inside}):
        calls = [item for item in inside if item.name == callee]
        lines = sorted({item.line for item in calls})
        for nth, line in enumerate(lines, 1):
            if any(item.line == line and not item.inlined and not item.tail for item in calls):
                number = nth if len(lines) > 1 else 0
                found.append(str(Point(Where.AFTER, function, inner=callee, nth=number)))
    return found


def hunt(
    home: Home,
    spec: Spec,
    parts: cell.Parts,
    resolver: Resolver,
    search: Search,
    tell: Callable[[str], None],
) -> Found:
    """Try random schedules until one fails and its order, made small, fails again.

    UserError when there is nothing to hold at; InfraError when QEMU fails or the race does not
    start.
    """
    tell("reading the kernel's debug information")
    points = choose_points(resolver, search.functions)
    tell("booting")
    with start(home, spec, parts) as kept:
        return Hunter(kept, lambda: start(home, spec, parts), spec, resolver, points, search).run(
            tell
        )


class Hunter:
    """One hunt on one snapshot; ``boot`` gives the snapshots on which its finds are proven."""

    def __init__(
        self,
        kept: Snapshot,
        boot: Callable[[], AbstractContextManager[Snapshot]],
        spec: Spec,
        resolver: Resolver,
        points: dict[int, str],
        search: Search,
    ) -> None:
        self._kept = kept
        self._boot = boot
        self._spec = spec
        self._resolver = resolver
        self._points = points
        self._search = search
        self._tried = Tried(points=len(set(points.values())))
        self._pace = PACES[0]
        self._end = self._give_up = 0.0

    def run(self, tell: Callable[[str], None]) -> Found:
        """Search until a witness is found or the time is spent."""
        begun = time.monotonic()
        self._end = begun + self._search.seconds
        best: tuple[Steps, Proof] | None = None
        self._calibrate()
        self._survey()
        while time.monotonic() < self._end:
            walk = self._walk()
            tell(f"{self._tried.schedules} schedules, {self._tried.hits} hits")
            if not walk.failed:
                continue
            tell("a schedule failed; looking for the least of it that does")
            self._give_up = min(self._end, time.monotonic() + MINIMISE_SECONDS)
            order = minimise(walk.hits, self._attempt)
            proof = self._prove(order) if order else Proof()
            if order and (proof.holds or proof.shown > (best[1].shown if best else 0)):
                best = order, proof
            if proof.holds:
                break
            self._tried.lost += 1
        self._tried.seconds = time.monotonic() - begun
        if not best:
            return Found(self._tried, self._search)
        return Found(self._tried, self._search, self._witness(best[0]), best[1])

    def _calibrate(self) -> None:
        """Choose a pace at which the race seldom shows of itself."""
        for self._pace in PACES:
            self._tried.pace = self._pace[0]
            shown = (self._shows_itself(self._kept, self._pace[0]) for _ in range(CONTROLS))
            self._tried.control = sum(shown)
            if self._tried.control <= CONTROLS // 6:
                return

    def _survey(self) -> None:
        """Leave out the places inside of functions that nobody comes to.

        Entries and returns stay: what comes there late, or only in the wrong order, may be the
        very thing that is looked for.
        """
        left = set(self._points)
        places = sorted(self._points)
        for first in range(0, len(places), POINTS):
            turns = Turns(self._kept.restore(), self._oracle())
            end = time.monotonic() + SURVEY_SECONDS
            waiting = frozenset(places[first : first + POINTS])
            while waiting and (stand := turns.run(turns.threads, waiting, {}, end)):
                waiting -= {stand.pc}
                left.discard(stand.pc)
        inside = {at for at in left if parse_point(self._points[at]).inner}
        self._points = {at: text for at, text in self._points.items() if at not in inside}
        self._tried.points = len(set(self._points.values()))

    def _shows_itself(self, snapshot: Snapshot, seconds: float) -> bool:
        turns = Turns(snapshot.restore(), self._oracle())
        failure = turns.let_go(seconds)
        return failure is not None and failure.signature_matched

    def _walk(self) -> Walk:
        """A schedule that begins soon after the race's start, at a moment of its own.

        What an actor does first may keep the other one from coming to its points at all.
        """
        tried, search = self._tried, self._search
        oracle = self._oracle()
        turns = Turns(self._kept.restore(), oracle)
        tried.actors = len(turns.threads)
        seed = search.seed + tried.schedules
        tried.schedules += 1
        if turns.let_go(pct.share(seed) * self._pace[0]):
            tried.early += 1
            return Walk((), 0, 0, None)
        explorer = Explorer(turns, self._choose(seed), search.hits)
        schedule = pct.draw(seed, tried.actors, search.hits, search.depth)
        walk = explorer.walk(schedule, WALK_SECONDS, self._pace[1])
        tried.hits += walk.made
        tried.blocked += walk.blocked
        tried.failures += walk.failed
        tried.stalls += oracle.stalls
        if walk.failure and not walk.failed:
            tried.foreign[walk.failure.title] += 1
        return walk

    def _choose(self, seed: int) -> dict[int, str]:
        """All entries of functions, and some of the other points."""
        others = {text for text in self._points.values() if not text.startswith(Where.ENTRY)}
        left_out = others - pct.pick(seed, others, POINTS)
        return {at: text for at, text in self._points.items() if text not in left_out}

    def _oracle(self) -> Oracle:
        return Oracle(self._spec.race, self._spec.workload)

    def _attempt(self, order: Steps) -> Trial:
        """Whether an order shows the failure each time; nothing is tried when the time is over."""
        if time.monotonic() > self._give_up:
            return Trial(False, len(order))
        for number, replay in enumerate(self._replays(self._kept, order, TRIES, 0)):
            if not replay.shown:
                steps = replay.attempts[0].steps
                early = replay.failed and 0 < steps < len(order)
                steps = steps if early or not replay.failure else len(order)
                return Trial(False, steps, early, number > 0)
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

    def _replays(
        self, snapshot: Snapshot, order: Steps, times: int, seconds: float
    ) -> Iterator[Replay]:
        witness = self._witness(order)
        placed = place(witness, self._resolver)
        scheduler = Scheduler(snapshot, witness, placed, self._oracle)
        return (scheduler.replay(seconds) for _ in range(times))

    def _witness(self, order: Steps) -> Witness:
        spec = self._spec
        return Witness(
            race=spec.race.name,
            workload=spec.workload.name,
            machine=spec.machine.name,
            seed=spec.seed,
            found_on=spec.kernel_id,
            release=spec.release,
            note=f"found by mmrace hunt, seed {self._search.seed}",
            patience=PATIENCE,
            settle=self._pace[1],
            step=order,
        )
