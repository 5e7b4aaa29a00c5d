# SPDX-License-Identifier: GPL-2.0-only
"""An attack on a fix: a search for a failure of the fixed kernel, by every means the race offers.

A hole that a fix leaves is seldom where the fix's author looked. Hand-written windows aim at the
old hole, so they are only one way of attack; the others are random schedules over the accesses that
communicate in either kernel and over all functions that the series changes.
"""

import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from mmrace.definitions.race import Race, Workload
from mmrace.errors import InfraError, MmraceError, UserError
from mmrace.executors.executor import UnderWay, as_ended
from mmrace.experiments.attacked import Attacked, Attempt
from mmrace.experiments.hunter import LOST, Finding, Hunter, Tell, plan_search
from mmrace.experiments.reproducing import MOST, learn_for_arms
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.runs.exercise import touched_by
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import steers
from mmrace.runs.record import NotRun
from mmrace.searching.boots import Boot
from mmrace.searching.seeding import seeds_from
from mmrace.verdicts.facing import NONE, Titles, regressions, titles_of
from mmrace.verdicts.verdict import Arm

SHORT, LONG = 10.0, 30.0  # seconds of workload per boot: a way's first boot, its later boots
PROOF_SECONDS = 240.0  # limit for finding the order behind a failure
CONTROLS = 5  # boots, at most, that check whether "before" (or no hold) fails alike
CONTROL_SECONDS = 180.0  # limit for the boots of "before", over all titles

SEARCH, WINDOWS, FREE = "schedules", "windows", "nobody held"


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
        raise UserError("an attack needs CONFIG_DEBUG_INFO in both kernels; verify has --no-attack")


class Attack:
    """All ways (workload and kind of steering) to attack one fix, in turn.

    Use as a context manager.
    """

    def __init__(
        self,
        session: Session,
        arms: Mapping[Arm, Built],
        race: Race,
        options: RunOptions,
        workload: str | None = None,
    ) -> None:
        """Raises UserError as ``check_attackable`` does."""
        check_attackable(arms)
        self._session = session
        self._arms = arms
        self._race = race
        self._options = options.with_(accel="tcg", steer=None, steer_by="director")
        self._seed = secrets.randbelow(2**31) if options.seed is None else options.seed
        commits = (arms[arm].applied.commit for arm in Arm)
        self._changed = {name for name, _ in touched_by(session.home, *commits).functions}
        found = attackable(race, arms[Arm.AFTER].kernel.release, workload)
        self._turns = deque((item, SEARCH) for item in found)
        pointed = [item for item in found if steers(race, item, self._options, "tcg")]
        self._turns += ((item, WINDOWS) for item in pointed)
        self._hunters: dict[tuple[Arm, str], Hunter] = {}
        self._attempts: list[Attempt] = []
        self._not_run: list[NotRun] = []
        self._hangs: list[str] = []
        self._begun = 0  # boots without a search; each has a seed of its own
        self._spoilt = ""
        self._stack = ExitStack()

    def __enter__(self) -> "Attack":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, seconds: float, known: Titles = NONE) -> Attacked:
        """Attack for ``seconds`` of wall time, or until the race's own failure.

        Then look for its order. ``known``: failures that earlier runs of the kernel before have
        shown.
        """
        begun = time.monotonic()
        with self._session.step(f"attack on {self._race.name}") as tell:
            failed = self._look(begun + seconds, tell)
            finding = self._try_to_prove(failed, tell) if failed else None
            new = () if failed else self._only_after(known, tell)
            done = self._attacked(time.monotonic() - begun, failed, finding, new)
            tell(f"= {done.line}")
        return done

    def _look(self, end: float, tell: Tell) -> Attempt | None:
        """Boot the kernel after, in each way in turn.

        Return the first boot with the race's own failure.
        """
        fresh = len(self._turns)  # ways that have not had a turn
        lost: Counter[str] = Counter()
        failed: list[Attempt] = []

        def begin() -> UnderWay[Attempt | None] | None:
            nonlocal fresh
            while self._turns and not failed and (left := end - time.monotonic()) > 0:
                turn = self._turns.popleft()
                length, fresh = min(SHORT if fresh > 0 else LONG, left), fresh - 1
                with self._trying(turn):
                    begun = self._begin(Arm.AFTER, *turn, length, tell)
                    self._turns.append(turn)
                    return UnderWay(begun.future, partial(self._ended, turn, begun))
            return None

        for ended in as_ended(self._session.executor, begin):
            if not (done := ended.end()):
                continue
            judged = done.run.judgement()
            if judged.outcome.failed and judged.signature_matched:
                hangs = judged.outcome is Outcome.HANG
                found = self._hangs_of_itself(done.workload, tell) if hangs else done
                failed += [found] if found else []
            name = f"{done.workload} {done.way}"
            lost[name] = lost[name] + 1 if judged.outcome is Outcome.INFRA else 0
            if lost[name] == LOST:
                self._leave(done.workload, done.way)
                self._spoilt = judged.title or "no reason given"
        return failed[0] if failed else None

    def _ended(self, turn: tuple[Workload, str], begun: UnderWay[Attempt]) -> Attempt | None:
        with self._trying(turn):
            return begun.end()
        return None

    @contextmanager
    def _trying(self, turn: tuple[Workload, str]) -> Iterator[None]:
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

    def _boot(self, arm: Arm, workload: Workload, way: str, seconds: float, tell: Tell) -> Attempt:
        return self._begin(arm, workload, way, seconds, tell).end()

    def _begin(
        self, arm: Arm, workload: Workload, way: str, seconds: float, tell: Tell
    ) -> UnderWay[Attempt]:
        name = workload.name
        if way == SEARCH:
            hunter = self._hunter(arm, workload, tell)
            boot = hunter.begin(seconds)
            return UnderWay(
                boot.future, lambda: self._searched(hunter, arm, name, boot.end(), tell)
            )
        tell(f"{name}: {'steered by its windows' if way == WINDOWS else way}")
        steer, seed, self._begun = way == WINDOWS, self._seed + self._begun, self._begun + 1
        own = self._options.with_(seconds=seconds, at_most=seconds, steer=steer, seed=seed)
        future = self._session.begin(self._arms[arm], self._race, workload, own)
        return UnderWay(future, lambda: self._made(Attempt(arm, name, way, future.result()[0])))

    def _searched(self, hunter: Hunter, arm: Arm, name: str, boot: Boot, tell: Tell) -> Attempt:
        tell(f"{name}: {hunter.search.words}")
        return self._made(Attempt(arm, name, SEARCH, boot.run, boot if boot.failed else None))

    def _made(self, attempt: Attempt) -> Attempt:
        self._attempts.append(attempt)
        return attempt

    def _hangs_of_itself(self, name: str, tell: Tell) -> Attempt | None:
        """Return a boot of "after" that hangs with no vCPU held, None if none of CONTROLS does.

        A hold can cause a hang by itself, so a hang under holds alone does not count.
        """
        workload = self._race.find_workload(name)
        for _ in range(0 if name in self._hangs else CONTROLS):
            free = self._boot(Arm.AFTER, workload, FREE, LONG, tell)
            if free.run.judgement().signature_matched:
                return free
        self._hangs.append(name)
        return None

    def _hunter(self, arm: Arm, workload: Workload, tell: Tell) -> Hunter:
        """Return the search of one kernel; that of "after" starts with the accesses of "before"."""
        key = arm, workload.name
        if key not in self._hunters:
            built = self._arms[arm]
            cell = plan_search(self._session, built, self._race, workload, self._options)
            hunter = self._stack.enter_context(Hunter(self._session, built, cell, self._seed))
            if arm is Arm.AFTER:
                before = self._hunter(Arm.BEFORE, workload, tell)
                tell(f"{workload.name}: what communicates in the kernel before")
                while not before.search.watched:
                    self._boot(Arm.BEFORE, workload, SEARCH, SHORT, tell)
                theirs, ours = before.ground.sites, hunter.ground.sites
                hunter.sow(seeds_from(before.search.profile, theirs, ours, self._changed))
            self._hunters[key] = hunter
        return self._hunters[key]

    def _try_to_prove(self, failed: Attempt, tell: Tell) -> Finding | None:
        """Look for the order behind a failure; the failure counts even if none is found."""
        note = self._session.note
        note(f"{failed.workload} failed with {failed.title}: {failed.run.folder}")
        if failed.way == FREE:
            return None
        try:
            hunter = self._hunter(Arm.AFTER, self._race.find_workload(failed.workload), tell)
            if failed.way == WINDOWS:
                hunter.prove_windows(PROOF_SECONDS, tell)
            else:
                self._prove(hunter, failed, tell)
        except (MmraceError, OSError) as error:
            note(f"no more proof of it: {error}")
        known = self._hunters.get((Arm.AFTER, failed.workload))
        return known.finding if known else None

    def _prove(self, hunter: Hunter, latest: Attempt, tell: Tell) -> None:
        """Look for the order behind a boot's failure, then behind those of further such boots."""
        end = time.monotonic() + PROOF_SECONDS
        workload = self._race.find_workload(latest.workload)
        while not hunter.proven and (left := end - time.monotonic()) > 0:
            if latest.boot:
                hunter.prove(latest.boot, left, tell)
            if not hunter.proven and (left := end - time.monotonic()) > 0:
                latest = self._boot(Arm.AFTER, workload, SEARCH, left, tell)

    def _only_after(self, known: Titles, tell: Tell) -> tuple[str, ...]:
        """Return titles that "after" shows and "before" does not in up to CONTROLS such boots."""
        after = [one for one in self._attempts if one.arm is Arm.AFTER and one.title]
        chances = {(one.title, one.workload, one.way): one for one in after}
        end = time.monotonic() + CONTROL_SECONDS
        for failed in chances.values():
            for _ in range(CONTROLS):
                if failed.title not in self._worse(known) or time.monotonic() > end:
                    break
                tell(f"whether the kernel before fails with {failed.title} as well")
                workload = self._race.find_workload(failed.workload)
                with suppress(UserError, InfraError):
                    self._boot(Arm.BEFORE, workload, failed.way, LONG, tell)
        return self._worse(known)

    def _worse(self, known: Titles) -> tuple[str, ...]:
        return regressions(self._titles(Arm.AFTER), self._titles(Arm.BEFORE) + known)

    def _titles(self, arm: Arm) -> Titles:
        """Failures other than the race's own in one kernel's boots.

        Boots with outcome INFRA are left out.
        """
        return titles_of(one.run.judgement() for one in self._attempts if one.arm is arm)

    def _attacked(
        self,
        seconds: float,
        failure: Attempt | None,
        finding: Finding | None,
        new: tuple[str, ...],
    ) -> Attacked:
        steered: Counter[str] = Counter()
        for one in self._attempts:
            if one.arm is Arm.AFTER and one.way == WINDOWS:
                steered.update({item.name: item.hits for item in one.run.judgement().windows})
        searches = {name: one for (arm, name), one in self._hunters.items() if arm is Arm.AFTER}
        return Attacked(
            self._race,
            seconds,
            tuple(self._attempts),
            {name: one.search.tried for name, one in searches.items()},
            steered,
            {name: one.missed for name, one in searches.items()},
            failure,
            finding,
            new,
            tuple(self._not_run),
            tuple(dict.fromkeys(self._hangs)),
            "" if self._turns else self._spoilt,
            self._seed,
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
