# SPDX-License-Identifier: GPL-2.0-only
"""``verify``, ``matrix``, ``cost``: kernels compared."""

from dataclasses import replace
from pathlib import Path

import click

from mmrace.answers import experiments, verdict
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import (
    DURATION,
    WITNESS,
    alpha_option,
    arms_options,
    gathered,
    given,
    refuse,
    reproducer_options,
    subject_options,
    tree_option,
    witness_option,
)
from mmrace.cli.runoptions import UNSTEERED, place_options, run_options
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race, load_race
from mmrace.definitions.witness import Witness, save_witness, witness_place
from mmrace.experiments.cost import measure_costs, operations_of
from mmrace.experiments.matrix import columns_of, races_of, run_matrix, slots_for
from mmrace.experiments.prefixes import verify_prefixes
from mmrace.experiments.verdict import decide
from mmrace.experiments.verification import pick_race
from mmrace.experiments.work import Work
from mmrace.runs.options import RunOptions
from mmrace.verdicts.verdict import Rules

UNCOMPARED = dict.fromkeys(("attack", "attack_for"), "only a fix is attacked")
REPLAY_SECONDS = 3.0  # of a replay: the order is tried again until then
_RULES = (
    alpha_option,
    click.option(
        "--ratio",
        type=float,
        default=1.0,
        metavar="RATIO",
        help="Exclude that the kernel after fails RATIO times as often; smaller takes longer.",
    ),
    click.option(
        "--rate", type=float, default=1.0, metavar="RATE", help="Exclude a failure rate of RATE."
    ),
    click.option(
        "--runs", "pairs", type=click.IntRange(1), default=60,
        help="Maximum number of pairs of a path.",
    ),
)  # fmt: skip

attack_options = gathered("attack", lambda attack, attack_for: attack_for if attack else 0.0,
    click.option("--attack/--no-attack", default=True, show_default=False,
                 help="Attack a kernel that the pairs call FIXED. [default: attack]"),
    click.option("--attack-for", type=DURATION, default="10m", help="Maximum time of the attack."),
)  # fmt: skip


@command("verify")
@subject_options(
    "Race to verify. [default: the witness's, or the one whose functions --after changes most]"
)
@tree_option()
@arms_options
@click.option("--workload", help="Decide only the path of this workload. [default: all paths]")
@gathered("rules", Rules, *_RULES)
@witness_option
@attack_options
@click.option("--each", is_flag=True, help="Run each prefix of --after once.")
@place_options
@run_options("15s")
def verify(
    app: App,
    race: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    rules: Rules,
    witness: Witness | None,
    attack: float,
    each: bool,
    options: RunOptions,
) -> Answer:
    """Run both kernels in pairs, in random order, until the verdict is certain.

    FIXED means that every path of the race is fixed; if the kernel after fails on one path, the
    verdict is NOT_FIXED. A kernel that the pairs call FIXED is then attacked, as by `mmrace
    attack`: a failure found there makes the verdict NOT_FIXED. With --witness each run is a replay,
    INFEASIBLE if it does not reach the witness's first sync point, and only --attack attacks. With
    --each, every prefix of the series has to apply, build without new warnings, boot and hold; if
    the kernel before fails, only the whole series has to hold.
    """
    session = open_session(app)
    if witness:
        refuse("verify --witness", WITNESS)
        seconds = options.seconds if given("seconds") else REPLAY_SECONDS
        options = options.with_(seconds=seconds, at_most=None)
        race = race or load_race(witness.race)
    race = race or pick_race(session, tree, before, after, options)
    rules = replace(rules, seed=options.seed or 0)
    if each:
        work = Work.choose(race, options, "", workload, witness)
        done = verify_prefixes(session, tree, before, after, work, rules.seed)
        return verdict.prefixes(done, race.name)
    attack_seconds = attack if given("attack") or not witness else 0.0
    out = witness_place(None, f"{race.name}-attack") if attack_seconds else Path()
    decided = decide(
        session, tree, before, after, race, options, rules, workload, witness, attack_seconds,
        verdict.Pace(app.note),
    )  # fmt: skip
    if decided.attacked and (finding := decided.attacked.finding):
        save_witness(out, finding.proven.witness)
    return verdict.verdict_answer(decided, race.name, tree, out)


@command("matrix")
@click.option("--race", "names", multiple=True, help="Race; repeatable. [default: all, or --repro]")
@reproducer_options
@tree_option(multiple=True)
@click.option("--series", multiple=True, help="Series of a column; A+B: both. [default: none]")
@click.option("--before", multiple=True, help="Series before; cells are then verdicts.")
@click.option("--runs", "count", type=click.IntRange(1), help="Runs, or pairs. [default: 1, or 60]")
@alpha_option
@attack_options
@click.option(
    "--jobs", type=click.IntRange(1), help="Guests at a time. [default: a core for each vCPU]"
)
@place_options
@run_options("20s")
def matrix(
    app: App,
    names: tuple[str, ...],
    repro: Race | None,
    trees: tuple[str, ...],
    series: tuple[str, ...],
    before: tuple[str, ...],
    count: int | None,
    alpha: float,
    attack: float,
    jobs: int | None,
    options: RunOptions,
) -> Answer:
    """Run races on all combinations of trees and series: a table of outcomes, or of verdicts.

    Guests that share cores disturb each other's timing: by default only as many guests run as the
    host has cores for their vCPUs.
    """
    refuse("matrix without --before", {} if before else UNCOMPARED)
    races = races_of(names, repro)
    session = open_session(app, jobs or slots_for(races, options.machine))
    columns = columns_of(trees, series, before)
    done = run_matrix(session, races, columns, options, count, alpha, attack)
    return experiments.matrix(done, session.executor.slots)


@command("cost")
@click.option("--race", "races", multiple=True, help="Race; repeatable. [default: all with costs]")
@reproducer_options
@tree_option()
@click.option("--before", multiple=True, required=True, help="Series; `none`: the tree as it is.")
@click.option("--after", multiple=True, required=True, help="Series on top of --before.")
@click.option("--operation", "operations", multiple=True, help="Operation. [default: all]")
@place_options
@run_options("10s", without=UNSTEERED)
def cost(
    app: App,
    races: tuple[str, ...],
    repro: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    operations: tuple[str, ...],
    options: RunOptions,
) -> Answer:
    """Count guest instructions per operation, before and after a fix.

    With --repro the operations are calls of the functions that the series changes.
    """
    options = options if given("seed") else options.with_(seed=1)
    session = open_session(app)
    chosen = operations_of(session, tree, before, after, races, operations, repro, options)
    return experiments.costs(measure_costs(session, tree, before, after, chosen, options))
