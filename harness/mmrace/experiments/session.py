# SPDX-License-Identifier: GPL-2.0-only
"""What the experiments of one invocation share: home, progress, kernels, and the executor."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from threading import RLock
from typing import TypeVar

from mmrace.definitions.race import Race, Workload, load_race
from mmrace.errors import UserError
from mmrace.executors.executor import Executor
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.patching.intake import Intake
from mmrace.progress import Step
from mmrace.runs import kernels
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import DEFAULT, Builder, Built, Prepared
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.runs.record import RunDir
from mmrace.verdicts.verdict import Arm

Note = Callable[[str], None]
T = TypeVar("T")
MOST = 32  # concurrent builds on other hosts, at most


class Session:
    """One invocation's home and progress; each kernel is built once and kept.

    ``step`` shows that something is under way, ``note`` prints one line for people.
    ``after_answer`` registers a call for when the result has been printed. ``builder`` builds
    kernels on other hosts, several at a time; None: kernels are built here, one after another.
    """

    def __init__(
        self,
        home: Home,
        step: Step,
        note: Note,
        *,
        intake: Intake = DEFAULT,
        executor: Executor | None = None,
        builder: Builder | None = None,
        after_answer: Callable[[Callable[[], None]], None] = lambda what: what(),
    ) -> None:
        self.home = home
        self.step = step
        self.note = note
        self.intake = intake
        self.executor = executor or LocalExecutor(home, step)
        self.builder = builder
        self.after_answer = after_answer
        self._built: dict[tuple[object, ...], Built] = {}
        self._building: defaultdict[tuple[object, ...], RLock] = defaultdict(RLock)

    @cached_property
    def planner(self) -> Planner:
        """The planner of this invocation's cells."""
        return Planner(self.home, self.step)

    def taking(self, intake: Intake) -> "Session":
        """Return a session that reads series by another intake, with the same executor."""
        return Session(
            self.home,
            self.step,
            self.note,
            intake=intake,
            executor=self.executor,
            builder=self.builder,
            after_answer=self.after_answer,
        )

    def build(
        self,
        tree: str,
        series: Sequence[str],
        options: RunOptions,
        race: Race | None = None,
        prepared: Prepared | None = None,
    ) -> Built:
        """Return the kernel of a tree with series on top, configured for the race and the options.

        ``prepared``: the tree with these series, where they have been applied for building already.
        Raises UserError for an unknown tree or series, BuildError.
        """
        configs = (*(race.own_config if race else ()), *options.kernel_configs)
        configs = tuple(dict.fromkeys(configs))
        key = (tree, tuple(series), configs, options.sandbox)
        with self._building[key if self.builder else ()]:
            if key not in self._built:
                intake = replace(self.intake, sandboxed=options.sandbox)
                self._built[key] = kernels.build(
                    self.home, tree, series, configs, self.step, intake, self.builder, prepared
                )
            return self._built[key]

    def at_once(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make calls that build: concurrently where other hosts build, else in order.

        Raises the first exception in the order of ``calls``.
        """
        if not self.builder or len(calls) < 2:
            return [call() for call in calls]
        with ThreadPoolExecutor(min(len(calls), MOST)) as pool:
            return [one.result() for one in [pool.submit(call) for call in calls]]

    def prepare(self, tree: str, series: Sequence[str]) -> Prepared:
        """Apply series to a tree.

        Raises UserError for an unknown name, or a series that does not apply.
        """
        return kernels.prepare(self.home, tree, series, self.step, self.intake)

    def arms(
        self,
        tree: str,
        before: Sequence[str],
        after: Sequence[str],
        options: RunOptions,
        race: Race | None = None,
    ) -> dict[Arm, Built]:
        """Build the kernels of both arms; UserError when both are the same.

        A series that does not exist or does not apply is reported before any kernel is built.
        """
        intake = replace(self.intake, sandboxed=options.sandbox)
        both = (*before, *after)
        prepared = kernels.prepare(self.home, tree, both, self.step, intake, building=True)
        calls = (
            partial(self.build, tree, before, options, race),
            partial(self.build, tree, both, options, race, prepared),
        )
        first, second = self.at_once(calls)
        made = {Arm.BEFORE: first, Arm.AFTER: second}
        if made[Arm.BEFORE].kernel.id == made[Arm.AFTER].kernel.id:
            raise UserError("--before and --after are the same kernel; name what --after adds")
        return made

    def suited(self, built: Built, race: Race, options: RunOptions) -> Built:
        """Return a kernel of the same source with the options that the race needs."""
        if built.suits(race):
            return built
        return self.build(built.tree.name, built.series, options, race)

    def races_about(self, before: str, after: str) -> list[Race]:
        """Return the races that the change between two commits concerns, and note the reason.

        Raises UserError when there is none.
        """
        found = kernels.races_about(self.home, before, after)
        for item in found:
            self.note(f"race {item.race}: {item.why}")
        return [load_race(item.race) for item in found]

    def run(self, built: Built, race: Race, workload: Workload, options: RunOptions) -> RunDir:
        """Run one workload once."""
        return self.begin(built, race, workload, options).result()[0]

    def begin(
        self, built: Built, race: Race, workload: Workload, options: RunOptions, slot: str = ""
    ) -> "Future[tuple[RunDir, ...]]":
        """Have one workload run once, as soon as a slot is free; the future holds its one run.

        ``slot``: its place in a campaign.
        """
        plan = self.planner.plan
        return self.executor.submit(lambda: (plan(built, race, workload, options, slot=slot),))

    def run_cell(self, plan: Callable[[], Cell]) -> RunDir:
        """Plan and run one cell, and wait for its run; raises what planning and running raise."""
        return self.executor.submit(lambda: (plan(),)).result()[0]
