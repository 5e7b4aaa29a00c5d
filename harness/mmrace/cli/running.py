# SPDX-License-Identifier: GPL-2.0-only
"""``run``, ``again``, ``shell``: kernels that boot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from mmrace.cli.app import App, config_options, json_option, sandbox_option
from mmrace.cli.duration import DURATION
from mmrace.cli.tables import runs_table
from mmrace.definitions.race import Race, Workload, load_race
from mmrace.errors import MmraceError, NotHereError, UserError
from mmrace.outcome import Outcome
from mmrace.patching.intake import Intake
from mmrace.reports.report import NotRun
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Choice, Workbench
from mmrace.runs.record import RunDir, find_run

SKIP = 125
SEVERITY = (Outcome.INFRA, Outcome.CRASH, Outcome.FAIL, Outcome.HANG)


@dataclass(frozen=True)
class Done:
    """Runs that were made, and workloads that could not be."""

    runs: tuple[RunDir, ...] = ()
    not_run: tuple[NotRun, ...] = ()

    def __add__(self, other: "Done") -> "Done":
        return Done(self.runs + other.runs, tuple(dict.fromkeys(self.not_run + other.not_run)))

    def show(self, app: App) -> None:
        """The table, or the JSON document."""
        app.document(
            {
                "runs": [run.as_json() for run in self.runs],
                "not_run": [vars(item) for item in self.not_run],
            }
        )
        app.out.print(runs_table(self.runs))
        for item in self.not_run:
            app.out.print(f"{item.race}/{item.workload}: not run: {item.why}", markup=False)


def run_race(
    bench: Workbench,
    built: Built,
    race: Race,
    workloads: Sequence[Workload],
    choice: Choice,
    count: int = 1,
) -> Done:
    """Run workloads of one race on one kernel, ``count`` times each."""
    runs: list[RunDir] = []
    absent: list[NotRun] = []
    for workload in workloads:
        command = campaign.command_line(built, race, workload, choice)
        try:
            for number in range(count):
                seed = None if choice.seed is None else choice.seed + number
                once = replace(choice, seed=seed)
                runs.append(bench.run(*bench.plan(built, race, workload, once, command)))
        except NotHereError as missing:
            absent.append(NotRun(race.name, workload.name, missing.message))
    return Done(tuple(runs), tuple(absent))


def suited(
    app: App, built: Built, race: Race, configs: Sequence[str] = (), intake: Intake | None = None
) -> Built:
    """The same source as a kernel that the race can show on: its own where it asks for one."""
    if built.suits(race):
        return built
    wanted, given = race.fragments(configs), intake or app.intake
    return campaign.build(app.home, built.tree.name, built.series, wanted, app.step, given)


def pick_races(app: App, before: str, after: str) -> list[Race]:
    """The races that a change is about, and why; UserError when there is none."""
    found = campaign.races_about(app.home, before, after)
    for item in found:
        app.note(f"race {item.race}: {item.why}")
    return [load_race(item.race) for item in found]


@click.command("run")
@click.option("--race", "race_name", help="See `mmrace races`; default: what the series is about.")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--series", multiple=True, help="Series to apply first; may be repeated.")
@click.option("--workload", "workloads", multiple=True, help="Default: the race's default ones.")
@click.option(
    "--for",
    "seconds",
    type=DURATION,
    default="60s",
    show_default=True,
    help="Guest workload time of a run; the first iteration is never cut.",
)
@click.option("--runs", "count", type=click.IntRange(1), default=1, show_default=True)
@click.option("--machine", help="Another machine of qemu/machines.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--boot", multiple=True, help="A kernel parameter to add; may be repeated.")
@click.option("--steer/--no-steer", default=None, help="Default: when the race has windows.")
@click.option(
    "--steer-by",
    type=click.Choice(["director", "kprobe"]),
    default="director",
    show_default=True,
    help="Who holds: QEMU's plugin (TCG), or a module in the guest (TCG; KVM: untested).",
)
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@click.option("--seed", type=click.IntRange(0), help="Repeat a seed; default: a new one each run.")
@config_options
@click.option("--bisect-exit", is_flag=True, help="Exit 0, 1 or 125, for `git bisect run`.")
@sandbox_option
@json_option
@click.pass_obj
def run_command(
    app: App,
    race_name: str | None,
    tree_name: str,
    series: tuple[str, ...],
    workloads: tuple[str, ...],
    seconds: float,
    count: int,
    machine: str | None,
    accel: str,
    boot: tuple[str, ...],
    steer: bool | None,
    steer_by: str,
    ltp: str | None,
    seed: int | None,
    configs: tuple[str, ...],
    bisect_exit: bool,
) -> int:
    """Run a race's workloads on one kernel; without --race those of the races it is about."""
    choice = Choice(
        machine=machine,
        accel=accel,
        seconds=seconds,
        seed=seed,
        ltp=ltp,
        steer=steer,
        steer_by=steer_by,
        boot=boot,
    )
    configs = (*configs, *campaign.steering_configs(steer_by))
    try:
        races = [load_race(race_name)] if race_name else []
        if workloads and not races:
            raise UserError("a workload is one of a race; name it with --race")
        chosen = [race.find_workload(name) for race in races for name in workloads]
        wanted = races[0].fragments(configs) if races else configs
        built = campaign.build(app.home, tree_name, series, wanted, app.step, app.intake)
        races = races or pick_races(app, built.tree.commit, built.applied.commit)
        bench, done = Workbench(app.home, app.step), Done()
        for race in races:
            these = chosen or race.default_workloads()
            own = suited(app, built, race, configs)
            done += run_race(bench, own, race, these, choice, count)
    except MmraceError as error:
        if not bisect_exit:
            raise
        # git would take any other code for a bad revision.
        app.note(f"{error.detail}\n{error.message}".strip())
        return SKIP
    done.show(app)
    return bisect_exit_code(done.runs) if bisect_exit else exit_code(done.runs)


def exit_code(runs: Sequence[RunDir]) -> int:
    """The exit code of several runs: that of the worst."""
    outcomes = {run.judgement().outcome for run in runs}
    for outcome in SEVERITY:
        if outcome in outcomes:
            return outcome.exit_code
    return max((outcome.exit_code for outcome in outcomes), default=3)


def bisect_exit_code(runs: Sequence[RunDir]) -> int:
    """1 when the race's own signature was seen, 0 when all held, else 125 (skip)."""
    judged = [run.judgement() for run in runs]
    if any(item.outcome.failed and item.signature_matched for item in judged):
        return 1
    if judged and all(item.outcome is Outcome.PASS for item in judged):
        return 0
    return SKIP


@click.command("again")
@click.argument("run")
@json_option
@click.pass_obj
def again(app: App, run: str) -> int:
    """Make the same run again: same kernel, workload, machine and seed."""
    spec = find_run(app.home, run).spec()
    # Runs of earlier versions do not say what they had.
    wanted = spec.configs or spec.race.fragments(campaign.steering_configs(spec.steer_by))
    built = campaign.build(app.home, spec.tree, spec.series, wanted, app.step)
    if built.kernel.id != spec.kernel_id:
        app.note(f"the kernel is another one now: {built.kernel.id}, then {spec.kernel_id}")
    choice = Choice(
        machine=spec.machine.name,
        accel=spec.accel,
        seconds=spec.seconds,
        seed=spec.seed,
        steer=spec.steered,
        steer_by=spec.steer_by,
        boot=spec.boot[len(spec.machine.boot) + len(spec.race.boot) :],
    )
    bench = Workbench(app.home, app.step)
    done = run_race(bench, built, spec.race, [spec.workload], choice)
    done.show(app)
    return exit_code(done.runs)


@click.command("shell")
@click.option("--tree", "tree_name", required=True, help="The kernel source, e.g. debian:6.1.")
@click.option("--series", multiple=True, help="Series to apply first; may be repeated.")
@click.option("--machine", default="numa2", show_default=True)
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@sandbox_option
@click.pass_obj
def shell(app: App, tree_name: str, series: tuple[str, ...], machine: str, accel: str) -> None:
    """Boot a kernel and hand over its console; Ctrl-] ends it."""
    built = campaign.build(app.home, tree_name, series, (), app.step, app.intake)
    Workbench(app.home, app.step).shell(built, machine, accel)


COMMANDS = (run_command, again, shell)
