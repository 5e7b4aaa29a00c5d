# SPDX-License-Identifier: GPL-2.0-only
"""``verify``: is it fixed, and how sure is that."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from markupsafe import escape

from mmrace.cli.app import App, config_options, json_option, sandbox_option
from mmrace.cli.duration import DURATION
from mmrace.cli.pointing import resolver_for
from mmrace.cli.prefixes import verify_each
from mmrace.cli.records import write_report
from mmrace.cli.running import pick_races
from mmrace.cli.tables import table
from mmrace.definitions.race import Race, load_race
from mmrace.definitions.witness import Witness, load_witness
from mmrace.errors import UserError
from mmrace.reports.report import Section
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Choice, Workbench
from mmrace.runs.slots import campaign_key, campaign_slots
from mmrace.runs.trial import Boots, Maker, Replays, Trial
from mmrace.verdicts import survival
from mmrace.verdicts.rates import Rate
from mmrace.verdicts.signtest import SignTest
from mmrace.verdicts.verdict import Arm, Pair, Rules, Statement

REPLAY_SECONDS = 3.0  # of a replay: the order is tried again until then


@click.command("verify")
@click.option("--race", "race_name", help="Default: the witness's, else what --after is about.")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--before", "before", multiple=True, required=True, help="Series; none: the tree.")
@click.option("--after", "after", multiple=True, required=True, help="Series on top of --before.")
@click.option("--workload", help="Default: the first of the race's default ones.")
@click.option("--alpha", type=float, default=0.001, show_default=True, help="Error allowed.")
@click.option(
    "--ratio",
    type=float,
    default=1.0,
    show_default=True,
    help="Exclude that the kernel after fails RATIO times as often; smaller takes longer.",
)
@click.option("--rate", type=float, default=1.0, show_default=True, help="Highest rate left open.")
@click.option("--runs", "pairs", type=click.IntRange(1), default=60, help="Pairs at most.")
@click.option("--for", "seconds", type=DURATION, default="30s", show_default=True)
@click.option("--machine", help="Another machine of qemu/machines.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--boot", multiple=True, help="A kernel parameter to add; may be repeated.")
@click.option("--steer/--no-steer", default=None, help="Default: when the race has windows.")
@click.option("--witness", "witness_path", type=click.Path(path_type=Path), help="Replay FILE.")
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@config_options
@click.option("--each", is_flag=True, help="One run of each prefix of --after.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@sandbox_option
@json_option
@click.pass_obj
def verify(
    app: App,
    race_name: str | None,
    tree_name: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    workload: str | None,
    alpha: float,
    ratio: float,
    rate: float,
    pairs: int,
    seconds: float,
    machine: str | None,
    accel: str,
    boot: tuple[str, ...],
    steer: bool | None,
    witness_path: Path | None,
    ltp: str | None,
    configs: tuple[str, ...],
    each: bool,
    seed: int,
) -> int:
    """Run both kernels in pairs, in random order, until the verdict is certain.

    With --witness a run is one replay of it, from a boot of its own; one that does not come to the
    witness's first point is no run. With --each every prefix of the series has to apply, build
    without new warnings, boot and hold; where --before fails, only the whole series has to hold.
    """
    witness = load_witness(witness_path) if witness_path else None
    name = race_name or (witness and witness.race)
    race = load_race(name) if name else _pick(app, tree_name, before, after)
    wanted = race.fragments(configs)
    choice = Choice(machine=machine, accel=accel, seconds=seconds, ltp=ltp, steer=steer, boot=boot)
    if witness:
        make: Maker = _replays(app, race, witness, ltp)
    else:
        chosen = race.find_workload(workload) if workload else race.default_workloads()[0]
        make = Boots(Workbench(app.home, app.step), race, chosen, choice)
    if each:
        return verify_each(app, race.name, tree_name, before, after, wanted, make, seed)
    rules = Rules(alpha=alpha, pairs=pairs, ratio=ratio, rate=rate, seed=seed)
    kernels = build_sides(app, tree_name, before, after, wanted)
    done = campaign_of(app, rules, kernels, make)
    app.document(done.document(race.name))
    if not app.as_json:
        _show(app, done.said)
    app.note(f"{2 * done.pairs} runs in {done.seconds:.0f} s")
    if runs := [one.run for _, one in done.trials if one.run]:
        title = f"{done.said.verdict}: {race.name} on {tree_name}"
        page, _ = write_report(app, runs, title, sections=_sections(done))
        app.note(f"report: {page}")
    return done.said.verdict.exit_code


def _pick(app: App, tree: str, before: Sequence[str], after: Sequence[str]) -> Race:
    """The race that is most of what the series is about; the others are named."""
    kernels = build_sides(app, tree, before, after)
    first, *others = pick_races(app, *(built.applied.commit for built in kernels.values()))
    if others:
        app.note(f"taking {first.name}; also with --race: {', '.join(r.name for r in others)}")
    return first


@dataclass(frozen=True)
class Done:
    """A campaign that came to its end; ``seconds`` of its runs, without building."""

    said: Statement
    trials: tuple[tuple[Arm, Trial], ...]
    pairs: int
    seconds: float

    def document(self, race: str) -> dict[str, object]:
        """What goes into JSON."""
        said = self.said
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
            "ratio_bound": said.ratio_bound,
            "more_runs": said.more_runs,
            "more_runs_at_least": said.more_runs_at_least,
            "void": said.void,
            "seconds_total": round(self.seconds, 1),
            "runs": [{"side": str(side), **one.as_json()} for side, one in self.trials],
        }


def build_sides(
    app: App,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    configs: Sequence[str] = (),
) -> dict[Arm, Built]:
    """Build both kernels; UserError when they are the same."""

    def build(*series: str) -> Built:
        return campaign.build(app.home, tree, series, configs, app.step, app.intake)

    kernels = {Arm.BEFORE: build(*before), Arm.AFTER: build(*before, *after)}
    if kernels[Arm.BEFORE].kernel.id == kernels[Arm.AFTER].kernel.id:
        raise UserError("--before and --after are the same kernel; name what --after adds")
    return kernels


def campaign_of(app: App, rules: Rules, kernels: dict[Arm, Built], make: Maker) -> Done:
    """Make pairs until the verdict stands or the budget is spent.

    A campaign of runs that was killed goes on with the runs that it has.
    """
    if not isinstance(make, Boots):
        return _campaign(app, rules, lambda pair, side: make(kernels[side], pair.seed))
    ids = [kernels[side].kernel.id for side in Arm]
    key = campaign_key(ids, asdict(rules), make.key())
    with campaign_slots(app.home, key, app.note) as slots:
        if slots.runs:
            app.note(f"going on with the {len(slots.runs)} runs that this campaign has made")

        def trial(pair: Pair, side: Arm) -> Trial:
            place = f"{pair.index}-{side}"
            if found := slots.find(place):
                return Trial(found.judgement(), run=found)
            return make.at(slots.slot(place))(kernels[side], pair.seed)

        done = _campaign(app, rules, trial)
        app.when_told(slots.end)
        return done


def _campaign(app: App, rules: Rules, make: Callable[[Pair, Arm], Trial]) -> Done:
    started = time.monotonic()
    loop = SignTest(rules)
    trials: list[tuple[Arm, Trial]] = []
    while not loop.done:
        pair = loop.next_pair()
        made = {side: make(pair, side) for side in pair.order}
        loop.record(made[Arm.BEFORE].judgement, made[Arm.AFTER].judgement)
        trials += made.items()
        now = loop.statement()
        app.note(f"pair {pair.index + 1}: {now.discordant} of {now.needed}, p = {now.p_value:.2g}")
    return Done(loop.statement(), tuple(trials), loop.tried, time.monotonic() - started)


def _sections(done: Done) -> list[Section]:
    """The verdict, and how long the kernels held."""
    said = done.said
    words = [f"{said.verdict}: {said.reason}", f"p = {said.p_value:.2g}, alpha {said.alpha:g}"]
    words += [
        f"the kernel {side} failed in {rate.failures} of {rate.runs} runs "
        f"({rate.low:.3f} .. {rate.high:.3f} at 95 %)"
        for side, rate in (("before", said.before), ("after", said.after))
    ]
    words += [
        f"after also: {one.outcome} {one.title}, {one.after} times, before {one.before}"
        for one in said.after_other
    ]
    made = [Section("Verdict", f"<p>{escape('; '.join(words))}</p>")]
    sides = {
        str(side): [one.run for own, one in done.trials if own is side and one.run] for side in Arm
    }
    if drawn := survival.picture(sides):
        made.append(Section("How long they held", str(drawn)))
    return made


def _replays(app: App, race: Race, witness: Witness, ltp: str | None) -> Replays:
    if witness.race != race.name:
        raise UserError(f"the witness is one of {witness.race}, not of {race.name}; omit --race")
    bench = Workbench(app.home, app.step)
    return Replays(app.home, bench, race, witness, resolver_for, app.step, REPLAY_SECONDS, ltp)


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
    elif said.more_runs_at_least:
        least = said.more_runs_at_least
        app.out.print(f"FIXED would take {least} more runs, if not more", markup=False)


COMMANDS = (verify,)
