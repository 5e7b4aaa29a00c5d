# SPDX-License-Identifier: GPL-2.0-only
"""Boots of the two kernels of an attack, in each way, and the searches behind some of them."""

from collections.abc import Mapping
from contextlib import ExitStack

from mmrace.definitions.race import Race, Workload
from mmrace.executors.executor import UnderWay
from mmrace.experiments.attempts import SEARCH, SEARCHED, WATCH, WINDOWS, Attempt, Attempts
from mmrace.experiments.hunter import Hunter, Tell, plan_search
from mmrace.experiments.session import Session
from mmrace.runs.exercise import touched_by
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.searching.boots import read_boot
from mmrace.searching.seeding import seeds_from
from mmrace.verdicts.verdict import Arm

SHORT, LONG = 10.0, 30.0  # seconds of workload per boot: a way's first boot, its later boots


class Boots:
    """Makes the boots of one attack; each becomes an attempt. Use as a context manager."""

    def __init__(
        self,
        session: Session,
        arms: Mapping[Arm, Built],
        race: Race,
        options: RunOptions,
        attempts: Attempts,
    ) -> None:
        self._session = session
        self._arms = arms
        self._race = race
        self._options = options
        self._attempts = attempts
        commits = (arms[arm].applied.commit for arm in Arm)
        self._changed = {name for name, _ in touched_by(session.home, *commits).functions}
        self._hunters: dict[tuple[Arm, str], Hunter] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Boots":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def searches(self) -> dict[str, Hunter]:
        """The searches of the kernel after, by workload."""
        return {name: one for (arm, name), one in self._hunters.items() if arm is Arm.AFTER}

    def make(self, arm: Arm, workload: str, way: str, seconds: float, tell: Tell) -> Attempt:
        """Boot a kernel, with at most ``seconds`` of the workload; errors as of ``begin``."""
        return self.begin(arm, self._race.find_workload(workload), way, seconds, tell).end()

    def begin(
        self, arm: Arm, workload: Workload, way: str, seconds: float, tell: Tell
    ) -> UnderWay[Attempt]:
        """Begin a boot.

        Raises UserError for a program or sync point that the kernel does not have, InfraError for a
        fault of the host.
        """
        name, add = workload.name, self._attempts.add
        if way == SEARCH:
            search = self.hunter(arm, workload, tell).search
            berth, slot = self._attempts.begin(arm, name, SEARCH if search.watched else WATCH)
            boot = search.begin(seconds, slot)

            def searched() -> Attempt:
                made = add(Attempt(berth, boot.end().run))
                tell(f"{name}: {search.words}")
                return made

            return UnderWay(boot.future, searched)
        tell(f"{name}: {'steered by its windows' if way == WINDOWS else way}")
        berth, slot = self._attempts.begin(arm, name, way)
        own = self._options.with_(
            seconds=seconds, at_most=seconds, steer=way == WINDOWS, seed=slot.seed
        )
        future = self._session.begin(self._arms[arm], self._race, workload, own, slot.name)
        return UnderWay(future, lambda: add(Attempt(berth, future.result()[0])))

    def hunter(self, arm: Arm, workload: Workload, tell: Tell) -> Hunter:
        """Return the search of one kernel, with the boots that an earlier process made for it.

        That of "after" starts with the accesses of "before".
        """
        key = arm, workload.name
        if key not in self._hunters:
            built, seed = self._arms[arm], self._attempts.seed
            cell = plan_search(self._session, built, self._race, workload, self._options)
            hunter = self._stack.enter_context(Hunter(self._session, built, cell, seed))
            if arm is Arm.AFTER:
                self._sow(hunter, workload, tell)
            for one in self._attempts.of(*key, *SEARCHED):
                hunter.search.take(read_boot(one.run), watched=one.way == WATCH)
            self._hunters[key] = hunter
        return self._hunters[key]

    def _sow(self, hunter: Hunter, workload: Workload, tell: Tell) -> None:
        before = self.hunter(Arm.BEFORE, workload, tell)
        tell(f"{workload.name}: what communicates in the kernel before")
        while not before.search.watched:
            self.make(Arm.BEFORE, workload.name, SEARCH, SHORT, tell)
        theirs, ours = before.ground.sites, hunter.ground.sites
        hunter.sow(seeds_from(before.search.profile, theirs, ours, self._changed))
