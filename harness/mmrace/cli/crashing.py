# SPDX-License-Identifier: GPL-2.0-only
"""``decode``, ``crashes``, ``history``: what consoles say, of one log and of all runs."""

import sys
from pathlib import Path

import click

from mmrace import groups
from mmrace.answers import crashes as answers
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import vmlinux_option
from mmrace.errors import UserError
from mmrace.runs.kernels import vmlinux_of
from mmrace.runs.record import find_run
from mmrace.symbols.log import crashes_of, read_log

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_REBUILD = click.option("--rebuild", is_flag=True, help="Read all run directories again.")


@command("decode")
@click.argument("log", required=False, type=_FILE)
@vmlinux_option
@click.option("--run", "run_name", metavar="RUN", help="Console and kernel of this run.")
@click.option("--source", type=_FOLDER, help="The kernel's source, to quote lines of top frames.")
def decode_command(
    app: App, log: Path | None, vmlinux: Path | None, run_name: str | None, source: Path | None
) -> Answer:
    """List the crashes of a console log, or with a vmlinux add file, line and inlined functions.

    The log is LOG, the console of a run, or standard input. Each crash has its title, kind,
    function and frames; for a corrupted report also the reason.
    """
    data = log.read_bytes() if log else None
    if run_name:
        run = find_run(app.home, run_name)
        data = run.console() if data is None else data
        vmlinux = vmlinux or vmlinux_of(app.home, run)
    data = sys.stdin.buffer.read() if data is None else data
    return answers.decoded_log(read_log(app.home, data, vmlinux), source)


@command("crashes")
@click.argument("logs", nargs=-1, type=_FILE, metavar="[LOG]...")
@click.option("--race", help="Only crashes of this race's runs.")
@_REBUILD
def crashes_command(app: App, logs: tuple[Path, ...], race: str | None, rebuild: bool) -> Answer:
    """Group the crashes of all runs by kind and title, or list the crashes of console logs."""
    if logs and (race or rebuild):
        raise UserError("--race and --rebuild are about runs; give them without LOG")
    if logs:
        return answers.crashes_of_logs(crashes_of(logs))
    with groups.database(app.home, anew=rebuild) as connection:
        return answers.crash_groups(groups.groups(connection, race))


@command("history")
@click.option("--race", required=True, help="Race whose runs are counted.")
@_REBUILD
def history_command(app: App, race: str, rebuild: bool) -> Answer:
    """Show how often a race failed: by day, workload and kernel."""
    with groups.database(app.home, anew=rebuild) as connection:
        return answers.failure_rates(race, groups.history(connection, race))
