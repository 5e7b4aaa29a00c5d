# SPDX-License-Identifier: GPL-2.0-only
"""``bisect``: which commit or which patch, when the test fails only now and then."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from mmrace.bisect.case import Case, Commands, Kernels
from mmrace.bisect.dag import Dag
from mmrace.bisect.engine import Bisection
from mmrace.bisect.loop import drive
from mmrace.bisect.probe import KernelProbe
from mmrace.bisect.search import Costs
from mmrace.bisect.subset import enough, prefixes
from mmrace.bisect.values import Answer, Phase, Request, Result, Settings
from mmrace.cli import bisected
from mmrace.cli.app import App, json_option, sandbox_option
from mmrace.cli.duration import DURATION
from mmrace.definitions.race import load_race
from mmrace.errors import UserError
from mmrace.patching.series import Series
from mmrace.runs.campaign import Choice, Workbench
from mmrace.runs.trial import Boots
from mmrace.verdicts.rates import interval

NOT_FOUND = 3
ROUND_TRIP = 5.0  # seconds of a run beside its workload's, under TCG


@dataclass(frozen=True)
class Limits:
    """How sure to be, how many runs to make at most, where they are kept."""

    delta: float
    most: int
    log: Path | None


@click.command("bisect")
@click.option("--repo", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Repo.")
@click.option("--race", "race_name", help="Run this race on each kernel.")
@click.option("--tree", "tree_name", help="A kernel's repository; with --series any tree.")
@click.option("--good", help="A revision that holds.")
@click.option("--bad", help="A revision that fails.")
@click.option("--series", help="Bisect the patches of a series on --tree.")
@click.option("--before", multiple=True, help="Series beneath --series; may be repeated.")
@click.option("--fix", is_flag=True, help="With --series: which patch ends the failure.")
@click.option("--enough", "subset", is_flag=True, help="With --series: which patches are enough.")
@click.option("--workload", help="Default: the first of the race's default ones.")
@click.option("--for", "seconds", type=DURATION, default="20s", show_default=True)
@click.option("--machine", help="Another machine of qemu/machines.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--boot", multiple=True, help="A kernel parameter to add; may be repeated.")
@click.option("--steer/--no-steer", default=None, help="Default: when the race has windows.")
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@click.option(
    "--delta",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="Error allowed.",
)
@click.option("--runs", "most", type=click.IntRange(1), default=5000, help="Runs at most.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the runs are kept, and resumed from. Default: in mmrace's home.",
)
@click.option("--deadline", type=DURATION, default="10m", show_default=True, help="For one ARGV.")
@click.option("--build-cost", type=DURATION, help="What one more revision takes; weighs only.")
@click.option("--run-cost", type=DURATION, help="What one more run takes; weighs only.")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@sandbox_option
@json_option
@click.pass_obj
def bisect(
    app: App,
    repo: Path | None,
    race_name: str | None,
    tree_name: str | None,
    good: str | None,
    bad: str | None,
    series: str | None,
    before: tuple[str, ...],
    fix: bool,
    subset: bool,
    workload: str | None,
    seconds: float,
    machine: str | None,
    accel: str,
    boot: tuple[str, ...],
    steer: bool | None,
    ltp: str | None,
    delta: float,
    most: int,
    log: Path | None,
    deadline: float,
    build_cost: float | None,
    run_cost: float | None,
    argv: tuple[str, ...],
) -> int:
    """Find the commit from which on something fails, however seldom it does.

    \b
    bisect --race R --tree REPO --good A --bad B      kernels of a repository
    bisect --race R --tree T --series S               which patch of S brings the failure
    bisect --repo REPO --good A --bad B -- ARGV...    anything

    Where the bad revision is the older one, the commit that ends the failure is looked for. ARGV
    runs in a clone of REPO; it is NOT sandboxed, it runs with all your rights. Its exit codes are
    those of git bisect run: 0 good, 125 skip, 128 and up end the bisection, others bad. A killed
    bisection goes on where it was; `git bisect replay` reads its log.
    """
    limits = Limits(delta, most, log)
    if argv:
        if not (repo and good and bad) or race_name or tree_name or series:
            raise UserError("a command takes --repo, --good and --bad, no race, tree or series")
        made = Commands(app.home, argv, deadline, Costs(build_cost or 2, 0, run_cost or 1))
        return _single(app, made.commits(repo, good, bad), None, limits)
    if not (race_name and tree_name) or repo:
        raise UserError("name --race and --tree, or --repo and a command after --")
    race = load_race(race_name)
    chosen = race.find_workload(workload) if workload else race.default_workloads()[0]
    choice = Choice(machine=machine, accel=accel, seconds=seconds, ltp=ltp, steer=steer, boot=boot)
    make = Boots(Workbench(app.home, app.step), race, chosen, choice)
    costs = Costs(build_cost or 60, ROUND_TRIP, run_cost or seconds)
    about = (chosen.name, *asdict(choice).values())
    kernels = Kernels(app.home, race_name, make, costs, app.step, app.note, about, app.intake)
    if not series:
        if not (good and bad) or before or fix or subset:
            raise UserError("name --good and --bad, or --series")
        return _single(app, kernels.commits(Path(tree_name), good, bad), race_name, limits)
    if good or bad:
        raise UserError("--series has its own ends, without --good and --bad")
    found = kernels.read(tree_name, series)
    if subset:
        return _enough(app, kernels, (tree_name, before, found), limits)
    line = prefixes((), tuple(range(len(found.patches))))
    case = kernels.subsets(tree_name, before, found.name, line, fix=fix)
    return _single(app, case, race_name, limits)


def _single(app: App, case: Case, race: str | None, limits: Limits) -> int:
    """One bisection, from its first run or from where its log ends."""
    settings = Settings(delta=limits.delta, costs=case.costs)
    log = limits.log or app.home.bisections / case.name / "log"
    answer = _drive(app, case, settings, log, limits.most)
    app.document({"race": race, **bisected.document(answer), "log": str(log)})
    bisected.show(app, case, answer)
    app.out.print(f"log: {log}", markup=False)
    if isinstance(case.probe, KernelProbe):
        bisected.report(app, case, case.probe, settings, log)
    return 0 if answer.culprit and answer.confirmed else NOT_FOUND


def _drive(app: App, case: Case, settings: Settings, log: Path, most: int) -> Answer:
    bisection = Bisection(case.model, settings, case.ready)
    if log.exists():
        app.note(f"going on from {log}")

    def tell(now: Bisection, request: Request, _result: Result) -> None:
        after = now.request()
        if after and (after.revision, after.phase) == (request.revision, request.phase):
            return
        step, where = now.steps[-1], now.answer()
        said = "skipped" if step.skipped else f"{step.failures} of {step.runs} failed"
        said += f", {step.void} said nothing" if step.void else ""
        best, posterior = where.suspects[0]
        app.note(
            f"{step.phase} {case.title(step.revision)}: {said}; likeliest {case.title(best)} "
            f"{posterior:.3f}, no culprit {where.no_culprit:.3f}"
        )

    return drive(bisection, case.probe, log, tell=tell, most=most)


def _enough(
    app: App, kernels: Kernels, what: tuple[str, tuple[str, ...], Series], limits: Limits
) -> int:
    """Which patches of a series are enough: one fix bisection after another."""
    tree, before, series = what
    subjects = [patch.subject for patch in series.patches]
    answers: list[Answer] = []

    def bisect_line(line: Dag) -> Answer:
        case = kernels.subsets(tree, before, series.name, line, fix=True)
        settings = Settings(delta=limits.delta, costs=case.costs)
        if answers:
            # Long enough to see the rate that the first round learnt, so that holding means it.
            learnt = [step for step in answers[0].steps if step.phase is Phase.LEARN]
            rate = interval(sum(s.runs for s in learnt), sum(s.failures for s in learnt))
            runs = math.ceil(math.log(1 / limits.delta) / max(rate.low, 0.001))
            settings = Settings(delta=limits.delta, costs=case.costs, learn_runs=runs)
        log = app.home.bisections / case.name / "log"
        answers.append(_drive(app, case, settings, log, limits.most))
        bisected.show(app, case, answers[-1])
        return answers[-1]

    found = enough(len(subjects), bisect_line)
    app.document(
        {
            "race": kernels.race,
            "enough": None if found is None else [number + 1 for number in found],
            "rounds": [bisected.document(answer) for answer in answers],
        }
    )
    if found is None:
        app.out.print("not found: a round stayed open", markup=False)
        return NOT_FOUND
    for number in found:
        app.out.print(f"needed: {number + 1} {subjects[number]}", markup=False)
    app.out.print(f"{len(found)} of {len(subjects)} patches are enough", markup=False)
    return 0


COMMANDS = (bisect,)
