# SPDX-License-Identifier: GPL-2.0-only
"""``verify``: is it fixed, and how sure is that."""

from pathlib import Path

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import (
    DURATION,
    FILE,
    WITNESS,
    Place,
    arms_options,
    chosen_race,
    given,
    place_options,
    race_option,
    refuse,
    reproducer_options,
    run_options,
    tree_option,
    witness_place,
)
from mmrace.cli.printing import table
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import Race
from mmrace.definitions.witness import load_witness, save_witness
from mmrace.experiments.prefixes import Prefixes, verify_prefixes
from mmrace.experiments.verdict import decide
from mmrace.experiments.verification import Verified, pick_race
from mmrace.experiments.work import Work
from mmrace.reports.attack import details, sections
from mmrace.reports.verdict import sections as verdict_sections
from mmrace.runs.options import RunOptions
from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.exclusion import exclusions
from mmrace.verdicts.rates import Rate
from mmrace.verdicts.verdict import Pair, Rules, Statement

REPLAY_SECONDS = 3.0  # of a replay: the order is tried again until then


@click.command("verify")
@race_option("Race to verify. [default: the witness's, else the one that --after changes most]")
@reproducer_options
@tree_option()
@arms_options
@click.option("--workload", help="Decide this workload's path alone. [default: all paths]")
@click.option(
    "--alpha", type=float, default=0.001, show_default=True, help="Probability of a wrong FIXED."
)
@click.option(
    "--ratio",
    type=float,
    default=1.0,
    show_default=True,
    help="Exclude that the kernel after fails RATIO times as often; smaller takes longer.",
)
@click.option("--rate", type=float, default=1.0, show_default=True, help="Highest rate left open.")
@click.option(
    "--runs", "pairs", type=click.IntRange(1), default=60, show_default=True, help="Pairs a path."
)
@click.option("--witness", "witness_path", type=FILE, help="Replay this file's schedule instead.")
@click.option(
    "--attack/--no-attack",
    default=None,
    help="Attack a kernel that the pairs call FIXED. [default: unless --witness]",
)
@click.option(
    "--attack-for",
    type=DURATION,
    default="10m",
    show_default=True,
    help="Maximum time of the attack (wall time).",
)
@click.option("--each", is_flag=True, help="Run each prefix of --after once.")
@place_options
@run_options("15s")
@json_option
@click.pass_obj
def verify(
    app: App,
    race_name: str | None,
    repro: Race | None,
    tree: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    alpha: float,
    ratio: float,
    rate: float,
    pairs: int,
    witness_path: Path | None,
    attack: bool | None,
    attack_for: float,
    each: bool,
    place: Place,
    options: RunOptions,
) -> int:
    """Run both kernels in pairs, in random order, until the verdict is certain.

    FIXED means that every path of the race is fixed; one path that fails is NOT_FIXED. What the
    pairs call FIXED is then attacked, as by `mmrace attack`: a failure found there is NOT_FIXED.
    With --witness a run is a replay; a replay that does not reach the witness's first sync point is
    INFEASIBLE. With --each every prefix of the series has to apply, build without new warnings,
    boot and hold; where --before fails, only the whole series has to hold.
    """
    session, witness = (
        open_session(app, place=place),
        load_witness(witness_path) if witness_path else None,
    )
    if witness:
        refuse("verify --witness", WITNESS)
        options = _for_replays(options)
    name = race_name or (witness and witness.race)
    race = chosen_race(name or None, repro) or pick_race(session, tree, before, after, options)
    seed = options.seed or 0
    if each:
        work = Work.choose(race, options, "", workload, witness)
        return _show_prefixes(app, race, verify_prefixes(session, tree, before, after, work, seed))
    rules = Rules(alpha=alpha, pairs=pairs, ratio=ratio, rate=rate, seed=seed)
    wanted = attack_for if attack or (attack is None and not witness) else 0.0
    out = witness_place(None, f"{race.name}-attack") if wanted else Path()
    done = decide(
        session, tree, before, after, race, options, rules, workload, witness, wanted,
        lambda pair, said: app.note(_progress(pair, said.paths)),
    )  # fmt: skip
    attacked, said = done.attacked, done.said
    if attacked and attacked.finding:
        save_witness(out, attacked.finding.proven.witness)
    app.document(done.document(race.name, str(out)))
    if not app.as_json:
        _show(app, done.verified, said)
        for line in details(attacked) if attacked else ():
            app.out.print(line, markup=False)
    app.note(f"{len(done.verified.runs)} runs in {done.verified.seconds:.0f} s")
    title = f"{said.verdict}: {race.name} on {tree}"
    shown = [*verdict_sections(said, done.verified.runs), *(sections(attacked) if attacked else ())]
    report(app, done.runs, title, attacked.not_run if attacked else (), shown)
    return said.exit_code


def _for_replays(options: RunOptions) -> RunOptions:
    seconds = options.seconds if given("seconds") else REPLAY_SECONDS
    return options.with_(seconds=seconds, at_most=None)


def _progress(pair: Pair, paths: tuple[Statement, ...]) -> str:
    now = next(one for one in paths if one.path == pair.path)
    state = f"{now.discordant} of {now.needed}, p = {now.p_value:.2g}"
    return f"{pair.path}, pair {pair.index + 1}: {state}"


def _show(app: App, done: Verified, said: Combined) -> None:
    def rate(value: Rate) -> str:
        return f"{value.failures} of {value.runs} ({value.low:.3f} .. {value.high:.3f})"

    rows = [
        (one.path, str(one.verdict), rate(one.before), rate(one.after)) for one in done.said.paths
    ]
    columns = ("path", "verdict", "before failed (rate, 95 %)", "after failed (rate, 95 %)")
    app.out.print(table(columns, rows))
    for one in done.said.paths:
        for other in one.after_other:
            times = f"{other.after} times, before {other.before}"
            text = f"{one.path}: after also: {other.outcome} {other.title}: {times}"
            app.out.print(text, markup=False)
    app.out.print(said.line, markup=False)
    for one in done.said.paths:
        for text in exclusions(one):
            app.out.print(f"{one.path}: {text}", markup=False)
        if one.more_runs:
            app.out.print(f"{one.path}: FIXED would take about {one.more_runs} more runs")
        elif one.more_runs_at_least:
            app.out.print(f"{one.path}: FIXED would take {one.more_runs_at_least} or more runs")


def _show_prefixes(app: App, race: Race, done: Prefixes) -> int:
    app.document(done.document(race.name))
    if not app.as_json:
        rows = [(str(prefix.number), prefix.patch, prefix.state) for prefix in done.found]
        app.out.print(table(("", "patch", "with the patches before it"), rows))
        bad = done.first_bad
        said = f"all {done.total} prefixes apply, build without new warnings, and hold"
        if bad:
            said = f"patch {bad.number} of {done.total}, {bad.patch}: {bad.bad}"
        app.out.print(said, markup=False)
    return done.found[-1].exit_code


COMMANDS = (verify,)
