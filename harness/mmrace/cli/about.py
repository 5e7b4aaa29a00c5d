# SPDX-License-Identifier: GPL-2.0-only
"""``doctor``, ``races``, ``race``, ``worker``: what this host has and does, what mmrace knows."""

from pathlib import Path
from typing import Any

import click

from mmrace import doctor, racecheck, template
from mmrace.answers import host
from mmrace.answers import races as answers
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command, flags, print_answer
from mmrace.cli.options import series_option, tree_option
from mmrace.cli.runoptions import build_options, tls_options
from mmrace.cli.session import open_session
from mmrace.definitions.race import load_race
from mmrace.executors import place
from mmrace.runs.options import RunOptions
from mmrace.runs.slots import able_slots


@command("doctor")
def doctor_command(app: App) -> Answer:
    """Show what this host has, and what to install."""
    return host.host_checks(doctor.examine_host(app.home))


@click.group("races", invoke_without_command=True)
@click.pass_context
def races(context: click.Context) -> None:
    """List the races; `races show NAME` shows one."""
    if not context.invoked_subcommand:
        print_answer(context.obj, answers.race_list())


races.params += flags()


@command("show", races)
@click.argument("name")
def show(_app: App, name: str) -> Answer:
    """Show one race: what it is, its paths, its workloads and their min counts."""
    return answers.race_details(load_race(name))


@click.group("race")
def race_group() -> None:
    """Make and check a race of your own."""


@command("new", race_group)
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Parent directory: mmrace-races here, harness/races in a checkout. [default: the home]",
)
@click.option("--from", "run", metavar="RUN", help="Run of a reproducer to make the race from.")
def race_new(app: App, name: str, into: Path | None, run: str | None) -> Answer:
    """Make the directory of a new race, which builds and runs as it is.

    mmrace looks for races in ./mmrace-races, in the home and in its own package.
    """
    return answers.new_race(name, *template.make_race(app.home, name, into, run))


@command("check", race_group)
@click.argument("name")
@tree_option(required=False)
@series_option
@build_options
def race_check(
    app: App, name: str, tree: str | None, series: tuple[str, ...], options: RunOptions
) -> Answer:
    """Check a race's directory without a guest: compile its programs, read its witnesses.

    With --tree, sync points and probes are looked up in a kernel of that tree, which is built if
    needed. The exit code is 2 if something is wrong.
    """
    race = load_race(name)
    built = open_session(app).build(tree, series, options, race) if tree else None
    with app.step(f"race {name}") as progress:
        return answers.race_checks(race, racecheck.check_race(app.home, race, built, progress))


@click.command("worker")
@click.argument("address")
@click.option(
    "--slots", type=click.IntRange(1), help="Guests at a time. [default: by cores and memory]"
)
@click.option("--name", help="Name in reports. [default: the host's name]")
@tls_options
@click.pass_obj
def worker(
    app: App, address: str, slots: int | None, name: str | None, tls: dict[str, Any]
) -> None:
    """Run cells for the Dask scheduler at ADDRESS until it ends.

    A worker needs QEMU, but no kernel tree and no compiler. Whoever can reach a scheduler's port
    can run code on its workers; without TLS a worker connects to loopback addresses only.
    """
    security = place.address(place.Place(address, **tls)).security()
    slots = slots or able_slots()
    app.note(f"{slots} guests at a time for {address}; home {app.home.cache}")
    place.load_dask("worker").serve(app.home, address, slots, security, name)
