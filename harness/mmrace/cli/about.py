# SPDX-License-Identifier: GPL-2.0-only
"""``doctor`` and ``races``: what this host has, what mmrace knows."""

import os
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

import click

from mmrace import doctor, racecheck
from mmrace.cli.app import App, json_option
from mmrace.cli.options import build_options, series_option, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.base import load_bases
from mmrace.definitions.race import find_race, load_race, race_names
from mmrace.guests import accel, qemu
from mmrace.proc import sandbox_fault
from mmrace.runs.options import RunOptions
from mmrace.runs.record import find_run
from mmrace.sources.tree import list_trees
from mmrace.template import new_race, race_from_run


@click.command("doctor")
@json_option
@click.pass_obj
def doctor_command(app: App) -> int:
    """What this host has, and what to install."""
    free = shutil.disk_usage(
        next(p for p in (app.home.cache, *app.home.cache.parents) if p.exists())
    )
    version = qemu.qemu_version() if shutil.which(qemu.QEMU) else ""
    checks = doctor.examine(
        doctor.packages(),
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk=free.free,
        kvm=accel.state(app.home, version) if version else "no QEMU",
        kvm_steering=accel.steering_state(app.home, version),
        sandbox=sandbox_fault(),
        sources=tuple(tree.name for tree in list_trees(app.home)),
        qemu=version,
    )
    app.document({"checks": [asdict(check) for check in checks]})
    rows = [
        ("ok" if check.ok else "MISSING", check.name, check.found, check.advice) for check in checks
    ]
    app.out.print(table(("", "what", "found", "advice"), rows))
    return 0 if all(check.ok for check in checks) else 69


@click.group("races", invoke_without_command=True)
@json_option
@click.pass_context
def races(context: click.Context) -> None:
    """The races; `races show NAME` for one."""
    if context.invoked_subcommand:
        return
    app: App = context.obj
    found = [load_race(name) for name in race_names()]
    bases = {
        race.name: [base.name for base in load_bases() if base.covers(race.name)] for race in found
    }
    app.document(
        {
            "races": [
                {
                    "name": race.name,
                    "bases": bases[race.name],
                    "workloads": [workload.name for workload in race.workload],
                }
                for race in found
            ]
        }
    )
    rows = [
        (race.name, " ".join(bases[race.name]), " ".join(w.name for w in race.workload), race.title)
        for race in found
    ]
    if not app.as_json:
        app.out.print(table(("race", "bases", "workloads", "bug"), rows))


@races.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(app: App, name: str) -> None:
    """One race: what it is, what runs, what proves that it ran."""
    race = load_race(name)
    app.document({"race": race.model_dump(mode="json")})
    if app.as_json:
        return
    app.out.print(f"{race.name}: {race.title}\n\n{race.summary.strip()}\n", markup=False)
    paths = [
        (name, workload.name, next((p.summary for p in race.path if p.name == name), ""))
        for name, workload in race.paths().decided.items()
    ]
    app.out.print(table(("path", "decided by", "what it is"), paths))
    rows = [
        (
            workload.name,
            str(workload.source),
            " ".join(f"{name}>={least}" for name, least in workload.exercised.items()),
            workload.summary,
        )
        for workload in race.workload
    ]
    app.out.print(table(("workload", "source", "exercised when", "what it does"), rows))


@click.group("race")
def race_group() -> None:
    """Make a race of your own."""


@race_group.command("new")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Its parent: mmrace-races here, harness/races in a checkout. [default: the home]",
)
@click.option("--from", "run", metavar="RUN", help="A run of a reproducer to make it from.")
@json_option
@click.pass_obj
def race_new(app: App, name: str, into: Path | None, run: str | None) -> None:
    """Make the directory of a new race, which builds and runs as it is.

    Races are found among those that mmrace brings, in ./mmrace-races and in the home.
    """
    where, kernel = into or app.home.races, "--tree debian:6.1"
    if run:
        found = find_run(app.home, run)
        folder, spec = race_from_run(app.home, name, where, found), found.spec()
        series = [word for one in spec.series for word in ("--series", one)]
        kernel = shlex.join(["--tree", spec.tree, *series])
    else:
        folder = new_race(app.home, name, where)
    files = sorted(path.name for path in folder.iterdir())
    app.document({"race": name, "folder": str(folder), "files": files})
    if app.as_json:
        return
    app.out.print(f"{folder}: {', '.join(files)}", markup=False)
    if find_race(name) is None:
        app.note("it is found once this directory is named mmrace-races, in the current one")
    app.out.print(f"next: mmrace run --race {name} {kernel} --for 10s", markup=False)


@race_group.command("check")
@click.argument("name")
@tree_option(required=False)
@series_option
@build_options
@json_option
@click.pass_obj
def race_check(
    app: App, name: str, tree: str | None, series: tuple[str, ...], options: RunOptions
) -> int:
    """Check a race's directory: programs, points, probes, witnesses; nothing is run.

    With --tree one kernel is built, or found built. Exit code 2 when something is wrong.
    """
    race = load_race(name)
    built = open_session(app).build(tree, series, options, race) if tree else None
    with app.step(f"race {name}") as tell:
        checks = racecheck.check_race(app.home, race, built, tell)
    wrong = [check for check in checks if check.problem]
    app.document({"race": name, "ok": not wrong, "checks": [asdict(check) for check in checks]})
    if not app.as_json:
        rows = [
            (
                "WRONG" if check.problem else "ok",
                check.kind,
                check.name,
                check.problem or check.note,
            )
            for check in checks
        ]
        app.out.print(table(("", "what", "name", ""), rows))
    return 2 if wrong else 0


COMMANDS = (doctor_command, races, race_group)
