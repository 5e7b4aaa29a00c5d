# SPDX-License-Identifier: GPL-2.0-only
"""An attack on a fix: a search for a failure of the fixed kernel, by every means the race offers.

A hole that a fix leaves is seldom where the fix's author looked. Hand-written windows aim at the
old hole, so they are only one way of attack; the others are random schedules over the accesses that
communicate in either kernel and over all functions that the series changes.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from mmrace.definitions.race import Race, Workload
from mmrace.errors import InfraError, UserError
from mmrace.executors.executor import UnderWay, as_ended
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.attempts import (
    SEARCH,
    SEARCHED,
    WINDOWS,
    Attempt,
    Attempts,
    Way,
)
from mmrace.experiments.boots import LONG, SHORT, Boots
from mmrace.experiments.controls import Controls
from mmrace.experiments.hunter import LOST, Finding, Tell
from mmrace.experiments.proving import prove_attempt
from mmrace.experiments.reproducing import MOST, learn_for_arms
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import steers
from mmrace.runs.record import NotRun
from mmrace.runs.slots import Slots, campaign_key, campaign_slots
from mmrace.verdicts.facing import NONE, Titles
from mmrace.verdicts.verdict import Arm

Turn = tuple[Workload, str]


def attackable(race: Race, release: str, workload: str | None = None) -> list[Workload]:
    """Return the workloads to attack on a kernel of this release.

    By default those of the race's hunts and of its paths, and its default workloads; with
    ``workload`` that one alone.
    """
    if workload is not None:
        return [race.find_workload(workload)]
    hunted = race.hunted_workload()
    paths = race.paths(release).decided.values()
    found = [*([hunted] if hunted.runs_on(release) else []), *paths]
    found += race.default_workloads(release)
    return list({item.name: item for item in found}.values())


def check_attackable(arms: Mapping[Arm, Built]) -> None:
    """Raise UserError when either kernel lacks the debug information that a search needs."""
    if not all(arms[arm].kernel.has_debug_info for arm in Arm):
        raise UserError(
            "an attack needs CONFIG_DEBUG_INFO in both kernels; --no-attack leaves the attack out"
        )


class Attack:
    """All ways (workload and kind of steering) to attack one fix, in turn.

    Use as a context manager. An attack that was killed is resumed by the next one of the same
    kernels, race and options: with its boots, and for the time that is left.
    """

    def __init__(
        self,
        session: Session,
        arms: Mapping[Arm, Built],
        race: Race,
        options: RunOptions,
        workload: str | None = None,
        ahead: int = 0,
    ) -> None:
        """``ahead``: boots under way at a time; 0: as many as the executor has slots.

        Raises UserError as ``check_attackable`` does.
        """
        check_attackable(arms)
        self._session = session
        self._arms = arms
        self._race = race
        self._ahead = ahead
        self._options = options.with_(
            seconds=LONG, at_most=None, accel="tcg", steer=None, steer_by="director"
        )
        self._workloads = attackable(race, arms[Arm.AFTER].kernel.release, workload)
        self._turns: deque[Turn] = deque()
        self._had: Counter[Way] = Counter()  # boots of the kernel after that were begun
        self._not_run: list[NotRun] = []
        self._hangs: list[str] = []
        self._spoilt = ""
        self._stack = ExitStack()
        self._slots: Slots
        self._attempts: Attempts
        self._boots: Boots
        self._controls: Controls

    def __enter__(self) -> "Attack":
        names = [one.name for one in self._workloads]
        ids = [self._arms[arm].kernel.id for arm in Arm]
        what = self._race.model_dump(), self._options.model_dump(), names
        home, note = self._session.home, self._session.note
        slots = campaign_slots(home, campaign_key("attack", ids, *what), note)
        self._slots = self._stack.enter_context(slots)
        self._attempts = Attempts(self._slots, self._options.seed)
        kernels = Boots(self._session, self._arms, self._race, self._options, self._attempts)
        self._boots = self._stack.enter_context(kernels)
        self._controls = Controls(self._boots, self._attempts)
        if boots := self._attempts.made:
            spent = self._attempts.clock
            note(f"resuming this attack: {len(boots)} boots are made, {spent:.0f} s are spent")
        self._had.update(one.turn for one in boots if one.arm is Arm.AFTER)
        turns = [(item, SEARCH) for item in self._workloads]
        pointed = [one for one in self._workloads if steers(self._race, one, self._options, "tcg")]
        turns += [(item, WINDOWS) for item in pointed]
        self._turns.extend(sorted(turns, key=lambda turn: self._had[turn[0].name, turn[1]]))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, seconds: float, known: Titles = NONE) -> Attacked:
        """Attack for ``seconds`` of wall time, or until the race's own failure.

        Then look for its order. ``known``: failures that earlier runs of the kernel before have
        shown.
        """
        with self._session.step(f"attack on {self._race.name}") as tell:
            self._take_up(tell)
            failed = self._look(seconds, tell)
            finding = self._prove(failed, tell) if failed else None
            new = () if failed else self._controls.regressions(known, tell)
            done = self._attacked(failed, finding, new)
            tell(f"= {done.line}")
        self._session.after_answer(self._slots.end)
        return done

    def _take_up(self, tell: Tell) -> None:
        """Begin the searches of an earlier process again, with the results of their boots."""
        begun = {one.workload for one in self._attempts.made if one.way in SEARCHED}
        for workload in self._workloads:
            if workload.name in begun:
                with self._trying((workload, SEARCH)):
                    self._boots.hunter(Arm.AFTER, workload, tell)

    def _look(self, seconds: float, tell: Tell) -> Attempt | None:
        """Boot the kernel after, in each way in turn.

        Return the first boot with the race's own failure.
        """
        lost: Counter[Way] = Counter()
        failed: list[Attempt] = []

        def begin() -> UnderWay[Attempt | None] | None:
            while self._turns and not failed and (left := seconds - self._attempts.clock) > 0:
                turn = self._turns.popleft()
                way = turn[0].name, turn[1]
                length, self._had[way] = LONG if self._had[way] else SHORT, self._had[way] + 1
                with self._trying(turn):
                    begun = self._boots.begin(Arm.AFTER, *turn, min(length, left), tell)
                    self._turns.append(turn)
                    return UnderWay(begun.future, partial(self._ended, turn, begun))
            return None

        def settle(done: Attempt) -> None:
            judged, way = done.run.judgement(), done.turn
            if judged.outcome.failed and judged.signature_matched:
                found: Attempt | None = done
                if judged.outcome is Outcome.HANG:
                    found = self._controls.hang_without_holds(done.workload, tell)
                failed.extend([found] if found else [])
                self._hangs += [] if found else [done.workload]
            lost[way] = lost[way] + 1 if judged.outcome is Outcome.INFRA else 0
            if lost[way] == LOST:
                self._leave(*way)
                self._spoilt = judged.title or "no reason given"

        for one in [one for one in self._attempts.made if one.arm is Arm.AFTER]:
            settle(one)
        for ended in as_ended(self._session.executor, begin, self._ahead):
            if done := ended.end():
                settle(done)
        return failed[0] if failed else None

    def _ended(self, turn: Turn, begun: UnderWay[Attempt]) -> Attempt | None:
        with self._trying(turn):
            return begun.end()
        return None

    @contextmanager
    def _trying(self, turn: Turn) -> Iterator[None]:
        """Drop a way that this kernel (UserError) or this host (InfraError) does not support."""
        workload, way = turn
        try:
            yield
        except UserError as missing:  # of a program or of a window's sync point
            self._leave(workload.name, way)
            absent = NotRun(self._race.name, workload.name, missing.message)
            self._not_run += [] if absent in self._not_run else [absent]
        except InfraError as broken:
            self._leave(workload.name, way)
            self._spoilt = broken.message

    def _leave(self, workload: str, way: str) -> None:
        kept = [one for one in self._turns if (one[0].name, one[1]) != (workload, way)]
        self._turns = deque(kept)

    def _prove(self, failed: Attempt, tell: Tell) -> Finding | None:
        workload, note = self._race.find_workload(failed.workload), self._session.note
        return prove_attempt(self._boots, self._attempts, failed, workload, note, tell)

    def _attacked(
        self, failure: Attempt | None, finding: Finding | None, new: tuple[str, ...]
    ) -> Attacked:
        steered: Counter[str] = Counter()
        for one in self._attempts.made:
            if one.arm is Arm.AFTER and one.way == WINDOWS:
                steered.update({item.name: item.hits for item in one.run.judgement().windows})
        searches = self._boots.searches
        return Attacked(
            self._race,
            self._attempts.clock,
            tuple(self._attempts.made),
            {name: one.search.tried for name, one in searches.items()},
            steered,
            {name: one.missed for name, one in searches.items()},
            failure,
            finding,
            new,
            tuple(self._not_run),
            tuple(dict.fromkeys(self._hangs)),
            "" if self._turns else self._spoilt,
            self._attempts.seed,
        )


def attack_fix(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    race: Race,
    options: RunOptions,
    workload: str | None = None,
) -> Attacked:
    """Build both kernels and attack the one after for ``options.seconds`` of wall time.

    The failure of a reproducer is learnt on the kernel before. Raises UserError when the failure
    cannot be learnt, and as Attack does.
    """
    arms = session.arms(tree, before, after, options, race)
    own = options.with_(seconds=LONG, at_most=None)
    learnt = learn_for_arms(session, arms, race, own, MOST)
    if learnt.trouble:
        raise UserError(f"{learnt.trouble}; or name the failure with --crash")
    with Attack(session, arms, learnt.race, options, workload) as one:
        return one.run(options.seconds)
