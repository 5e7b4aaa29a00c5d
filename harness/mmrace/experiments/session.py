# SPDX-License-Identifier: GPL-2.0-only
"""What the experiments of one invocation share: home, progress, kernels, and where cells run."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from threading import RLock

from mmrace.definitions.race import Race, Workload, load_race
from mmrace.errors import UserError
from mmrace.executors.executor import Executor
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.patching.intake import Intake
from mmrace.progress import Step
from mmrace.runs import kernels
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import DEFAULT, Built, Prepared
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.runs.record import RunDir
from mmrace.verdicts.verdict import Arm

Note = Callable[[str], None]


class Session:
    """One invocation's home and progress; each kernel is built once and kept.

    ``step`` shows that something is under way, ``note`` tells people one line. ``when_told`` has
    something done once the invocation's result has reached its user.
    """

    def __init__(
        self,
        home: Home,
        step: Step,
        note: Note,
        *,
        intake: Intake = DEFAULT,
        executor: Executor | None = None,
        when_told: Callable[[Callable[[], None]], None] = lambda what: what(),
    ) -> None:
        self.home = home
        self.step = step
        self.note = note
        self.intake = intake
        self.executor = executor or LocalExecutor(home, step)
        self.when_told = when_told
        self._built: dict[tuple[object, ...], Built] = {}
        self._building = RLock()

    @cached_property
    def planner(self) -> Planner:
        """What plans this invocation's cells."""
        return Planner(self.home, self.step)

    def taking(self, intake: Intake) -> "Session":
        """Return a session that takes series in another way, with the same executor."""
        return Session(
            self.home,
            self.step,
            self.note,
            intake=intake,
            executor=self.executor,
            when_told=self.when_told,
        )

    def build(
        self, tree: str, series: Sequence[str], options: RunOptions, race: Race | None = None
    ) -> Built:
        """Return the kernel of a tree with series on top, as the race and the options want it.

        Raises UserError for a tree or series that is not there, BuildError.
        """
        configs = (*(race.own_config if race else ()), *options.kernel_configs)
        configs = tuple(dict.fromkeys(configs))
        key = (tree, tuple(series), configs, options.sandbox)
        with self._building:
            if key not in self._built:
                intake = replace(self.intake, sandboxed=options.sandbox)
                self._built[key] = kernels.build(
                    self.home, tree, series, configs, self.step, intake
                )
            return self._built[key]

    def prepare(self, tree: str, series: Sequence[str]) -> Prepared:
        """Apply series to a tree. Raises UserError for one that is not there or does not apply."""
        return kernels.prepare(self.home, tree, series, self.step, self.intake)

    def arms(
        self,
        tree: str,
        before: Sequence[str],
        after: Sequence[str],
        options: RunOptions,
        race: Race | None = None,
    ) -> dict[Arm, Built]:
        """Build the kernels of both arms; UserError when they are the same.

        Series that are not there, or do not apply, are told before a kernel is built.
        """
        intake = replace(self.intake, sandboxed=options.sandbox)
        kernels.prepare(self.home, tree, (*before, *after), self.step, intake, building=True)
        made = {
            Arm.BEFORE: self.build(tree, before, options, race),
            Arm.AFTER: self.build(tree, (*before, *after), options, race),
        }
        if made[Arm.BEFORE].kernel.id == made[Arm.AFTER].kernel.id:
            raise UserError("--before and --after are the same kernel; name what --after adds")
        return made

    def suited(self, built: Built, race: Race, options: RunOptions) -> Built:
        """Return the same source as a kernel that the race can show on."""
        if built.suits(race):
            return built
        return self.build(built.tree.name, built.series, options, race)

    def races_about(self, before: str, after: str) -> list[Race]:
        """Return the races that the change between two commits is about, and say why.

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
        self, built: Built, race: Race, workload: Workload, options: RunOptions
    ) -> "Future[tuple[RunDir, ...]]":
        """Have one workload run once, as soon as a slot is free; the future holds its one run."""
        planner = self.planner
        return self.executor.submit(lambda: (planner.plan(built, race, workload, options),))

    def run_cell(self, plan: Callable[[], Cell]) -> RunDir:
        """Have one cell planned and run, and wait for its run. Raises what either raises."""
        return self.executor.submit(lambda: (plan(),)).result()[0]
