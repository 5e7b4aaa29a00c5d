# SPDX-License-Identifier: GPL-2.0-only
"""``bisect``: which commit or which patch, when the test fails only now and then."""

from dataclasses import replace
from pathlib import Path

import click

from mmrace.bisect.case import Case, Commands
from mmrace.bisect.search import Costs
from mmrace.bisect.values import Answer
from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    COMMAND,
    DURATION,
    FILE,
    WITNESS,
    Place,
    chosen_race,
    place_options,
    race_option,
    refuse,
    reproducer_options,
    run_options,
    tree_option,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import Race
from mmrace.definitions.reproducer import in_memory
from mmrace.definitions.witness import load_witness
from mmrace.errors import UserError
from mmrace.experiments.bisection import (
    Bisected,
    KernelCases,
    Limits,
    Needed,
    bisect,
    bisect_subsets,
)
from mmrace.experiments.reproducing import failing_end, learn_for_bisection
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work
from mmrace.reports.bisection import document, sections
from mmrace.runs.options import RunOptions

NOT_FOUND = 3
ROUND_TRIP = 5.0  # seconds of a run beside its workload's, under TCG


@click.command("bisect")
@click.option(
    "--repo", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Git repository."
)
@race_option("Race to run on each kernel.")
@reproducer_options
@tree_option(required=False)
@click.option("--good", help="A revision that holds.")
@click.option("--bad", help="A revision that fails.")
@click.option("--series", help="Bisect the patches of a series on --tree.")
@click.option("--before", multiple=True, help="Series beneath --series; repeatable.")
@click.option("--fix", is_flag=True, help="With --series: which patch ends the failure.")
@click.option("--enough", is_flag=True, help="With --series: which patches are enough.")
@click.option("--workload", help="Workload. [default: that of the race's first path]")
@click.option("--witness", "witness_path", type=FILE, help="Replay this file's schedule instead.")
@click.option(
    "--delta",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.05,
    show_default=True,
    help="Probability of a wrong culprit.",
)
@click.option("--runs", "most", type=click.IntRange(1), default=5000, help="Maximum runs.")
@click.option("--log", type=FILE, help="Where the runs are kept. [default: in mmrace's home]")
@click.option("--deadline", type=DURATION, default="10m", show_default=True, help="For one ARGV.")
@click.option("--build-cost", type=DURATION, help="Time that one more revision takes; a weight.")
@click.option("--run-cost", type=DURATION, help="Time that one more run takes; a weight.")
@place_options
@run_options("20s")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@json_option
@click.pass_obj
def bisect_command(
    app: App,
    repo: Path | None,
    race_name: str | None,
    repro: Race | None,
    tree: str | None,
    good: str | None,
    bad: str | None,
    series: str | None,
    before: tuple[str, ...],
    fix: bool,
    enough: bool,
    workload: str | None,
    witness_path: Path | None,
    delta: float,
    most: int,
    log: Path | None,
    deadline: float,
    build_cost: float | None,
    run_cost: float | None,
    argv: tuple[str, ...],
    place: Place,
    options: RunOptions,
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
    session, limits = open_session(app, place=place), Limits(delta, most, log)
    if argv:
        if not (repo and good and bad) or race_name or repro or tree or series or witness_path:
            raise UserError("a command takes --repo, --good and --bad, no race, tree or series")
        refuse("a command", COMMAND)
        made = Commands(app.home, argv, deadline, Costs(build_cost or 2, 0, run_cost or 1))
        return _single(app, session, made.commits(repo, good, bad), None, limits)
    work = _work(race_name, repro, workload, witness_path, options)
    if not (work and tree) or repo:
        raise UserError("name --race or --repro and --tree, or --repo and a command after --")
    if in_memory(work.race):
        where, on_top = failing_end(tree, bad, before, series, fix=fix or enough)
        built = session.build(where, on_top, options, work.race)
        learnt = learn_for_bisection(session, built, work, most)
        if learnt.trouble:
            app.document({"race": work.race.name, "found": False, **learnt.document()})
            app.out.print(f"not found: {learnt.trouble}", markup=False)
            return NOT_FOUND
        work = replace(work, race=learnt.race, workload=learnt.race.workload[0])
    costs = Costs(build_cost or 60, ROUND_TRIP, run_cost or options.seconds)
    cases = KernelCases(session, work, costs)
    if not series:
        if not (good and bad) or before or fix or enough:
            raise UserError("name --good and --bad, or --series")
        return _single(app, session, cases.commits(Path(tree), good, bad), work.race.name, limits)
    if good or bad:
        raise UserError("--series has its own ends; omit --good and --bad")
    if enough:
        needed = bisect_subsets(session, cases, tree, before, series, limits)
        return _show_needed(app, work.race.name, needed)
    case = cases.patches(tree, before, series, fix=fix)
    return _single(app, session, case, work.race.name, limits)


def _work(
    race_name: str | None,
    repro: Race | None,
    workload: str | None,
    witness_path: Path | None,
    options: RunOptions,
) -> Work | None:
    witness = load_witness(witness_path) if witness_path else None
    if witness:
        refuse("bisect --witness", WITNESS)
    race = chosen_race(race_name or (witness.race if witness else None), repro)
    return Work.choose(race, options, "", workload, witness) if race else None


def _single(app: App, session: Session, case: Case, race: str | None, limits: Limits) -> int:
    done = bisect(session, case, limits)
    app.document({"race": race, **document(done.answer), "log": str(done.log)})
    _show(app, done)
    app.out.print(f"log: {done.log}", markup=False)
    if done.runs:
        report(app, done.runs, f"bisection by {race}", (), sections(done))
    return 0 if done.answer.culprit and done.answer.confirmed else NOT_FOUND


def _show(app: App, done: Bisected) -> None:
    case, answer = done.case, done.answer
    rows = [
        (
            str(one.phase),
            case.title(one.revision),
            "skipped" if one.skipped else f"{one.failures} of {one.runs}",
            str(one.void or ""),
        )
        for one in answer.steps
    ]
    app.out.print(table(("phase", "revision", "failed", "not exercised"), rows))
    app.out.print(_said(case, answer), markup=False)
    runs = ", ".join(f"{count} to {phase}" for phase, count in answer.runs.items())
    app.out.print(f"{sum(answer.runs.values())} runs ({runs}), {answer.builds} revisions run")


def _said(case: Case, answer: Answer) -> str:
    if answer.culprit:
        how = "confirmed" if answer.confirmed else "NOT confirmed"
        odds = answer.posterior / max(1 - answer.posterior, 1e-9)
        what = "ends the failure" if case.model.fix else "brings the failure"
        return f"{case.title(answer.culprit)}: {what}, odds {odds:.3g} to 1, {how}"
    names = ", ".join(f"{case.title(name)} {share:.3f}" for name, share in answer.suspects[:5])
    return f"not found; no culprit between the ends: {answer.no_culprit:.3f}; likeliest: {names}"


def _show_needed(app: App, race: str, done: Needed) -> int:
    for one in done.rounds:
        _show(app, one)
    app.document(
        {
            "race": race,
            "enough": None if done.patches is None else [number + 1 for number in done.patches],
            "rounds": [document(one.answer) for one in done.rounds],
        }
    )
    if done.patches is None:
        app.out.print("not found: a round stayed open", markup=False)
        return NOT_FOUND
    for number in done.patches:
        app.out.print(f"needed: {number + 1} {done.subjects[number]}", markup=False)
    app.out.print(f"{len(done.patches)} of {len(done.subjects)} patches are enough", markup=False)
    return 0


COMMANDS = (bisect_command,)
