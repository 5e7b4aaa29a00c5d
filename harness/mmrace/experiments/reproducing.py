# SPDX-License-Identifier: GPL-2.0-only
"""What mmrace learns of a reproducer before it can decide: its failure and its proof of exercise.

The bad kernel is run until it has failed three times; the failure is what these runs have in
common. Each counted function has to be executed in later runs a tenth as often as in these runs
until they failed. When kernels are compared and a run did not fail, further runs are steered by
random delays in the functions that the series changes; the campaign is steered if steered runs
failed more often.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmrace import crash as crashes
from mmrace.crash.wanted import wanted_title
from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import Execution, FailsBy, Race
from mmrace.definitions.reproducer import (
    ANY_CRASH,
    in_memory,
    knows_failure,
    read_reproducer,
    with_delays,
    with_failure,
    with_functions,
    with_min_counts,
    with_own_end,
)
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work
from mmrace.home import Home
from mmrace.judging import channel
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.exercise import compiled, min_counts, touched_by
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.runs.slots import Slots, campaign_key, campaign_slots
from mmrace.userland.reproducer import build_reproducer, keep_reproducer
from mmrace.verdicts.learning import WANTED, Failure, Learning, advice
from mmrace.verdicts.verdict import Arm

OWN_END = "the program's own end"
MOST = 60  # runs, at most, from which a bisection learns the failure
_AT_A_LINE = re.compile(r" at \S+$")  # a title that blames no function
STACK = 6  # innermost functions of the failing call trace that a bisection counts


def race_of(
    home: Home,
    words: Sequence[str],
    crash: str | None = None,
    procs: int = 1,
    user: bool = False,
    fails_by: Sequence[str] = (),
) -> Race:
    """Return the race made from a reproducer's files, and store these files in the home.

    ``crash``: title, regular expression or file that names the failure. Raises UserError for an
    invalid one, and for C code that does not compile (before any kernel is built).
    """
    made = read_reproducer(words)
    keep_reproducer(home, made)
    ways = tuple(FailsBy(one) for one in fails_by)
    how = Execution(procs=procs, user=user, fails_by=ways, given=tuple(words))
    race = made.race(how, crash=wanted_title(crash) if crash else ANY_CRASH)
    if made.files:
        build_reproducer(home, race, race.workload[0], "", None, lambda _text: None)
    return race


@dataclass(frozen=True)
class Learnt:
    """A race with all that a decision needs, or ``trouble``: why it could not be learnt.

    ``runs``: the runs of the bad kernel from which it was learnt.
    """

    race: Race
    runs: tuple[RunDir, ...] = ()
    failure: Failure | None = None
    trouble: str = ""

    def document(self) -> dict[str, object]:
        """The JSON document; empty for a race with a race directory."""
        if not self.runs:
            return {}
        return {
            "learnt": {
                "failure": self.failure.name if self.failure else None,
                "seen": self.failure.seen if self.failure else 0,
                "signature": [one.model_dump() for one in self.race.signature],
                "min_counts": dict(self.race.workload[0].min_counts),
                "steered": self.race.delays is not None,
                "trouble": self.trouble,
                "runs": [run.as_json() for run in self.runs],
            }
        }


def learn_for_arms(
    session: Session, arms: Mapping[Arm, Built], race: Race, options: RunOptions, budget: int
) -> Learnt:
    """Learn what verifying a fix needs; the functions that the series changes prove exercise.

    A race with a race directory is returned unchanged, without a run. ``budget``: maximum number of
    runs.
    """
    if not in_memory(race):
        return Learnt(race)
    before, after = (arms[arm].applied.commit for arm in (Arm.BEFORE, Arm.AFTER))
    touched = touched_by(session.home, before, after)
    with session.step("functions that the series changes") as tell:
        tell("reading the kernels' debug information")
        functions = compiled(touched.functions, [arms[arm].resolver() for arm in Arm])
    counted = with_functions(race, functions)
    if options.steer is not False:
        counted = with_delays(counted, functions)
    found = _learn(session, arms[Arm.BEFORE], counted, options, budget)
    if found.trouble:
        return found
    found = replace(found, race=_steering_chosen(session, found))
    steered = found.race.delays is not None
    session.note(f"proof of exercise: {_proof(found.race, len(touched.functions))}")
    failed = [run for run in found.runs if _failed(run) and run.spec().steered is steered]
    counters = [channel.parse(run.channel()).counters for run in failed]
    return replace(found, race=with_min_counts(found.race, min_counts(counters, touched.dropped)))


def learn_for_bisection(session: Session, bad: Built, work: Work, budget: int) -> Learnt:
    """Learn what a bisection needs; the functions of the failing call trace prove exercise."""
    if not in_memory(work.race):
        return Learnt(work.race)
    found = _learn(session, bad, work.race, work.options, min(budget, MOST))
    stack = found.failure.stack[:STACK] if found.failure else ()
    return replace(found, race=with_functions(found.race, [(name, "") for name in stack]))


def failing_end(
    tree: str,
    bad: str | None,
    before: Sequence[str],
    series: str | None,
    *,
    fix: bool,
) -> tuple[str, tuple[str, ...]]:
    """Return the tree and the series of that end of a bisection which fails."""
    if not series:
        return (f"{tree}@{bad}" if bad else tree), ()
    return tree, tuple(before) if fix else (*before, series)


def _learn(session: Session, bad: Built, race: Race, options: RunOptions, budget: int) -> Learnt:
    """Run the bad kernel until its failure is known, or, if the user named it, was seen once."""
    known = knows_failure(race)
    learning = Learning(budget, 1 if known else WANTED)
    runs: list[RunDir] = []
    steered = Work(race, race.workload[0], options)
    works = [steered]
    if race.delays and options.steer is None:
        works = [replace(steered, race=race.model_copy(update={"delays": None})), steered]
    key = campaign_key("learn", bad.kernel.id, steered.key(), budget)
    with campaign_slots(session.home, key, session.note) as slots:
        while not learning.done:
            runs.append(_run(session, bad, _next(works, runs), slots, len(runs)))
            learning.record(*_judged(runs[-1]))
        session.after_answer(slots.end)
    failure = learning.failure()
    if failure is None:
        return Learnt(race, tuple(runs), None, _trouble(bad, race, options, learning, runs))
    if known:
        session.note(f"the kernel before fails with `{failure.name}`")
        return Learnt(race, tuple(runs), failure)
    session.note(str(failure))
    others = [f"{title} ({count})" for title, count in learning.foreign(failure)]
    if others:
        session.note(f"other titles, which count as foreign: {', '.join(others)}")
    if failure.name == OWN_END:
        return Learnt(with_own_end(race), tuple(runs), failure)
    learnt = with_failure(race, failure.title, failure.report, failure.also)
    return Learnt(learnt, tuple(runs), failure)


def _next(works: Sequence[Work], runs: Sequence[RunDir]) -> Work:
    """Choose the next run: steered or not, whichever has failed more often so far."""

    def promise(work: Work) -> tuple[float, int]:
        mine = [run for run in runs if run.spec().steered is (work.race.delays is not None)]
        return (sum(map(_failed, mine)) + 1) / (len(mine) + 2), -len(mine)

    return max(works, key=promise)


def _steering_chosen(session: Session, found: Learnt) -> Race:
    """Keep the delays if the bad kernel fails more often with them, as fewer runs then decide."""
    kinds = {
        steered: [run for run in found.runs if run.spec().steered is steered]
        for steered in (False, True)
    }
    rates = {
        steered: sum(map(_failed, runs)) / len(runs) for steered, runs in kinds.items() if runs
    }
    if len(rates) > 1:
        counts = [
            f"{sum(map(_failed, kinds[steered]))} of {len(kinds[steered])} runs failed {how}"
            for steered, how in ((False, "unsteered"), (True, "with delays in these functions"))
        ]
        session.note("; ".join(counts))
    steered = max(rates, key=lambda kind: rates[kind])  # unsteered if both are equal
    return found.race if steered else found.race.model_copy(update={"delays": None})


def _run(session: Session, bad: Built, work: Work, slots: Slots, number: int) -> RunDir:
    """Run the bad kernel once, or return the run of an earlier process that was killed."""
    place = f"learn-{number}"
    if found := slots.find(place):
        return found
    seed = (work.options.seed or 0) + number
    return session.run_cell(lambda: work.plan(session.planner, bad, seed, slots.slot(place)))


def _judged(run: RunDir) -> tuple[Judgement, Sequence[str], Sequence[str]]:
    """A run's judgement, the functions of its call trace, and titles that blame others of them.

    All ends of the program get one title.
    """
    judged = run.judgement()
    if judged.outcome in (Outcome.FAIL, Outcome.HANG):
        return replace(judged, title=OWN_END), (), ()
    for one in crashes.parse(run.console()):
        if one.title == judged.title:
            called = [frame.function for frame in one.frames if frame.reliable]
            others = [title for title in one.alt_titles if not _AT_A_LINE.search(title)]
            return judged, list(dict.fromkeys([one.function, *called])), others
    return judged, (), ()


def _proof(race: Race, changed: int) -> str:
    """Name the functions that prove exercise.

    ``changed``: how many functions the series changes.
    """
    names = race.workload[0].probes
    if not names and changed:
        return (
            f"executions alone: the kernels have none of the {changed} functions that the series"
            " changes; --config may be missing an option"
        )
    if not names:
        return "executions alone, as the series changes no function"
    more = f"; {changed - len(names)} more are not counted" if changed > len(names) else ""
    return f"the functions that the series changes: {', '.join(names)}{more}"


def _failed(run: RunDir) -> bool:
    judged = run.judgement()
    return judged.outcome.failed and judged.signature_matched


def _trouble(
    bad: Built, race: Race, options: RunOptions, learning: Learning, runs: Sequence[RunDir]
) -> str:
    """Why the failure could not be learnt, and what may help."""
    seen = ", ".join(f"{title} ({count})" for title, count in learning.titles)
    seen_titles = f"only: {seen}" if seen else "not once"
    kasan = "CONFIG_KASAN=y" in bad.kernel.config.read_text(encoding="utf-8").splitlines()
    cpus = load_machine(options.machine or race.machine).cpus
    helps = advice(kasan, cpus, options.seconds)
    steered = sum(run.spec().steered for run in runs)
    how = f", {steered} of them steered" if steered else ""
    return (
        f"the failure was not seen {WANTED} times in {learning.runs} runs of the kernel before"
        f"{how} ({seen_titles}); what may help: {helps}"
    )
