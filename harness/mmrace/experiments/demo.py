# SPDX-License-Identifier: GPL-2.0-only
"""The demo: runs each path of the races in the demo with the bug put back, then with the fix."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from mmrace.definitions.race import Race, Workload, load_race, race_names
from mmrace.errors import MmraceError, NotHereError
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import NotRun, RunDir
from mmrace.verdicts.verdict import Arm

SERIES = {Arm.BEFORE: ("vulnerable",), Arm.AFTER: ("vulnerable", "fixes")}
PROOF = 20  # "after" has to hold this many times as long as "before" took to fail
LEAST = 4.0  # minimum guest seconds of a run of "after"


@dataclass(frozen=True)
class Shown:
    """One path of a race: its run of the kernel before, and of the kernel after (or None)."""

    race: Race
    path: str
    before: RunDir
    after: RunDir | None = None

    @property
    def expected(self) -> bool:
        """Whether "before" showed the race's own failure, and "after" was exercised and held."""
        if self.after is None:
            return False
        shown, held = self.before.judgement(), self.after.judgement()
        return shown.outcome.failed and shown.signature_matched and held.outcome is Outcome.PASS

    @property
    def line(self) -> str:
        """The result in one line."""
        shown = self.before.judgement()
        when = shown.stressed if shown.outcome.failed else None
        after = f" after {when:.1f} s" if when is not None else ""
        text = f"before: {_word(self.before)}{after}"
        return f"{text}; after: {_word(self.after)}{_contested(self.after)}" if self.after else text


def _word(run: RunDir) -> str:
    judged = run.judgement()
    if judged.outcome is Outcome.PASS:
        return "held"
    if judged.outcome.failed:
        return "failed" if judged.signature_matched else f"failed otherwise ({judged.title})"
    return str(judged.outcome)


def _contested(run: RunDir) -> str:
    """How often the run reached the race: hits of its windows, else its first min count."""
    judged = run.judgement()
    hits = sum(window.hits for window in judged.windows)
    counts = [count for count, _ in judged.exercised.values()]
    times = hits or (counts[0] if counts else 0)
    return f", {times:,} times at the contested point"


@dataclass(frozen=True)
class Demonstration:
    """All paths that were shown, workloads that were not run, and the error that ended the demo."""

    shown: tuple[Shown, ...]
    not_run: tuple[NotRun, ...] = ()
    error: MmraceError | None = None

    @property
    def runs(self) -> tuple[RunDir, ...]:
        """All runs, the two of one path next to each other."""
        return tuple(run for one in self.shown for run in (one.before, one.after) if run)

    @property
    def exit_code(self) -> int:
        """0 when everything was as expected, else 3."""
        if self.error:
            return self.error.exit_code
        return 0 if self.shown and all(one.expected for one in self.shown) else 3


@dataclass(frozen=True)
class _Begun:
    """A path whose run of "before" has ended, and whose run of "after" is under way."""

    race: Race
    path: str
    before: RunDir
    after: Future[tuple[RunDir, ...]]

    def shown(self, *, wait: bool = True) -> Shown:
        """The path with its run of "after"; without ``wait`` only if that run has ended."""
        made = wait or (self.after.done() and not self.after.exception())
        return Shown(self.race, self.path, self.before, self.after.result()[0] if made else None)


def demonstrate(
    session: Session, tree: str, options: RunOptions, tell: Callable[[Shown], None]
) -> Demonstration:
    """Run each path on both kernels; call ``tell`` with each path, in order.

    The kernel after runs for ``PROOF`` times as long as the kernel before took to fail, and until
    its min counts; ``options.seconds`` bounds both. In a session with two slots, this run and the
    next path's first run are concurrent. Raises UserError for an unknown tree.
    """
    shown: list[Shown] = []
    absent: list[NotRun] = []
    waiting: deque[_Begun] = deque()

    def take() -> None:
        shown.append(waiting[0].shown())
        waiting.popleft()
        tell(shown[-1])

    try:
        for arms, race, path, workload in _paths(session, tree, options):
            try:
                waiting.append(_begin(session, arms, race, path, workload, options))
            except NotHereError as missing:
                absent.append(NotRun(race.name, workload.name, missing.message))
            while waiting and waiting[0].after.done():
                take()
        while waiting:
            take()
    except MmraceError as error:
        shown += (one.shown(wait=False) for one in waiting)
        return Demonstration(tuple(shown), tuple(absent), error)
    return Demonstration(tuple(shown), tuple(absent))


def _paths(
    session: Session, tree: str, options: RunOptions
) -> Iterator[tuple[Mapping[Arm, Built], Race, str, Workload]]:
    for race in [race for race in map(load_race, race_names()) if race.demo]:
        arms = {arm: session.build(tree, SERIES[arm], options, race) for arm in Arm}
        paths = race.paths(arms[Arm.BEFORE].kernel.release)
        for name, workload in paths.decided.items():
            yield arms, race, name, workload


def _begin(
    session: Session,
    arms: Mapping[Arm, Built],
    race: Race,
    path: str,
    workload: Workload,
    options: RunOptions,
) -> _Begun:
    first = session.run(arms[Arm.BEFORE], race, workload, options)
    # Only time in the race phase counts: set-up proves nothing, and is slow on a busy host.
    failed = first.judgement().stressed
    target = options.seconds if failed is None else max(LEAST, PROOF * failed)
    least = min(target, options.seconds)
    longer = options.with_(seconds=least, at_most=options.cap)
    return _Begun(race, path, first, session.begin(arms[Arm.AFTER], race, workload, longer))
