# SPDX-License-Identifier: GPL-2.0-only
"""``verify``: is it fixed, and how sure is that."""

import time
from dataclasses import asdict

import click

from mmrace import campaign
from mmrace.campaign import Built, Choice, Workbench
from mmrace.cli.app import App, json_option
from mmrace.cli.duration import DURATION
from mmrace.cli.running import run_race
from mmrace.cli.tables import table
from mmrace.errors import UserError
from mmrace.race import load_race
from mmrace.rates import Rate
from mmrace.record import RunDir
from mmrace.verdict import Campaign, Rules, Side, Statement


@click.command("verify")
@click.option("--race", "race_name", required=True, help="The race to run; see `mmrace races`.")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--before", "before", multiple=True, required=True, help="Series; none: the tree.")
@click.option("--after", "after", multiple=True, required=True, help="Series on top of --before.")
@click.option("--workload", help="Default: the first of the race's default ones.")
@click.option("--alpha", type=float, default=0.001, show_default=True, help="Error allowed.")
@click.option("--runs", "pairs", type=click.IntRange(1), default=60, help="Pairs at most.")
@click.option("--for", "seconds", type=DURATION, default="30s", show_default=True)
@click.option("--machine", help="Another machine of qemu/machines.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
@click.pass_obj
def verify(
    app: App,
    race_name: str,
    tree_name: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    alpha: float,
    pairs: int,
    seconds: float,
    machine: str | None,
    accel: str,
    ltp: str | None,
    seed: int,
) -> int:
    """Run both kernels in pairs, in random order, until the verdict is certain."""
    started = time.monotonic()
    race = load_race(race_name)
    chosen = race.find_workload(workload) if workload else race.default_workloads()[0]
    loop = Campaign(Rules(alpha=alpha, pairs=pairs, seed=seed))
    kernels: dict[Side, Built] = {
        Side.BEFORE: campaign.build(app.home, tree_name, before, (), app.step),
        Side.AFTER: campaign.build(app.home, tree_name, (*before, *after), (), app.step),
    }
    if kernels[Side.BEFORE].kernel.id == kernels[Side.AFTER].kernel.id:
        raise UserError("--before and --after are the same kernel; name what --after adds")
    bench = Workbench(app.home, app.step)
    runs: list[RunDir] = []
    while not loop.done:
        pair = loop.next_pair()
        made: dict[Side, RunDir] = {}
        for side in pair.order:
            choice = Choice(machine=machine, accel=accel, seconds=seconds, seed=pair.seed, ltp=ltp)
            done = run_race(bench, kernels[side], race, [chosen], choice)
            if done.not_run:
                raise UserError(done.not_run[0].why)
            made[side] = done.runs[0]
        loop.record(made[Side.BEFORE].judgement(), made[Side.AFTER].judgement())
        runs += [made[side] for side in pair.order]
        now = loop.statement()
        app.note(f"pair {pair.index + 1}: {now.discordant} of {now.needed}, p = {now.p_value:.2g}")
    said = loop.statement()
    app.document(_document(race_name, said, runs, time.monotonic() - started))
    if not app.as_json:
        _show(app, said)
    return said.verdict.exit_code


def _document(race: str, said: Statement, runs: list[RunDir], seconds: float) -> dict[str, object]:
    return {
        "race": race,
        "verdict": str(said.verdict),
        "reason": said.reason,
        "alpha": said.alpha,
        "p_value": said.p_value,
        "before": asdict(said.before),
        "after": asdict(said.after),
        "after_other": [
            {**asdict(other), "outcome": str(other.outcome)} for other in said.after_other
        ],
        "rate_bound_after": said.rate_bound_after,
        "more_runs": said.more_runs,
        "void": said.void,
        "seconds_total": round(seconds, 1),
        "runs": [run.as_json() for run in runs],
    }


def _show(app: App, said: Statement) -> None:
    def rate(name: str, value: Rate) -> tuple[str, str, str]:
        share = f"{value.failures} of {value.runs}"
        return name, share, f"{value.low:.3f} .. {value.high:.3f}"

    app.out.print(
        table(
            ("kernel", "failed", "rate (95 %)"),
            [rate("before", said.before), rate("after", said.after)],
        )
    )
    for other in said.after_other:
        times = f"{other.after} times, before {other.before}"
        app.out.print(f"after also: {other.outcome} {other.title}: {times}", markup=False)
    app.out.print(f"{said.verdict}: {said.reason}", markup=False)
    app.out.print(
        f"p = {said.p_value:.2g}; the kernel after fails in less than "
        f"{said.rate_bound_after:.2g} of runs like these (alpha {said.alpha:g})",
        markup=False,
    )
    if said.more_runs:
        app.out.print(f"FIXED would take about {said.more_runs} more runs", markup=False)


COMMANDS = (verify,)
