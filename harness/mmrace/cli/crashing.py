# SPDX-License-Identifier: GPL-2.0-only
"""``decode``, ``crashes``, ``history``: what consoles say, of one log and of all runs."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from mmrace import crash, groups
from mmrace.building.kernel import load_kernel
from mmrace.cli.app import App, json_option
from mmrace.cli.printing import table
from mmrace.errors import UserError
from mmrace.runs.record import find_run
from mmrace.symbols import decode
from mmrace.symbols.symbolizer import Vmlinux

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("decode")
@click.argument("log", required=False, type=_FILE)
@click.option("--vmlinux", type=_FILE, help="The kernel's vmlinux with debugging information.")
@click.option("--run", "run_name", help="Console and kernel of this run.")
@click.option("--source", type=_FOLDER, help="The kernel's source: quotes lines of the top frames.")
@json_option
@click.pass_obj
def decode_command(
    app: App, log: Path | None, vmlinux: Path | None, run_name: str | None, source: Path | None
) -> None:
    """A console log (LOG, a run's, or standard input) with file:line and inlined functions."""
    data = _console(app, log, run_name)
    kernel = Vmlinux(_vmlinux(app, vmlinux, run_name), app.home)
    lines = data.decode(errors="replace").replace("\r", "").replace("\0", "").split("\n")
    decoded = decode.decode(lines, kernel.symbols, kernel.places)
    quoted = _Source(source) if source else None
    if not any(item.places for item in decoded):
        app.note("nothing in this log is an address of this vmlinux")
    app.document(
        {
            "crashes": [
                {"kind": item.kind.value, "title": item.title, "function": item.function}
                for item in crash.parse(data)
            ],
            "frames": [
                {"text": item.text.strip(), "places": [asdict(place) for place in item.places]}
                for item in decoded
                if item.places
            ],
        }
    )
    if not app.as_json:
        for line in decode.render(decoded, quoted):
            click.echo(line)


class _Source:
    """Files of a kernel's source, each read once; no lines where there is no such file."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._files: dict[str, Sequence[str]] = {}

    def __call__(self, name: str) -> Sequence[str]:
        if name not in self._files:
            path = self._top / name
            text = path.read_text(errors="replace") if path.is_file() else ""
            self._files[name] = text.splitlines()
        return self._files[name]


def _console(app: App, log: Path | None, run_name: str | None) -> bytes:
    if log:
        return log.read_bytes()
    if run_name:
        return find_run(app.home, run_name).console()
    return sys.stdin.buffer.read()


def _vmlinux(app: App, given: Path | None, run_name: str | None) -> Path:
    if given:
        return given
    if not run_name:
        raise UserError("which kernel is it? --vmlinux FILE, or --run RUN for one of mmrace's")
    kernel_id = find_run(app.home, run_name).spec().kernel_id
    kernel = load_kernel(app.home, kernel_id)
    if not kernel:
        raise UserError(
            f"kernel {kernel_id} is no longer there; `mmrace again {run_name}` makes it"
        )
    return kernel.vmlinux


@click.command("crashes")
@click.option("--race", help="Only those seen in runs of this race.")
@click.option("--rebuild", is_flag=True, help="Read all run directories anew.")
@json_option
@click.pass_obj
def crashes_command(app: App, race: str | None, rebuild: bool) -> None:
    """Crashes over all runs, grouped by kind and title."""
    with groups.database(app.home, anew=rebuild) as connection:
        found = [item for item in groups.groups(connection) if not race or race in item.races]
    app.document({"groups": [asdict(item) for item in found]})
    if not app.as_json:
        rows = [
            (str(item.runs), item.kind, item.title, " ".join(item.races), item.last)
            for item in found
        ]
        app.out.print(table(("runs", "kind", "title", "races", "last run"), rows))


@click.command("history")
@click.option("--race", required=True)
@click.option("--rebuild", is_flag=True, help="Read all run directories anew.")
@json_option
@click.pass_obj
def history_command(app: App, race: str, rebuild: bool) -> None:
    """How often a race failed: by day, workload and kernel."""
    with groups.database(app.home, anew=rebuild) as connection:
        found = groups.history(connection, race)
    app.document({"race": race, "rates": [asdict(item) for item in found]})
    if not app.as_json:
        rows = [
            (item.day, item.workload, f"{item.release} {item.series}".strip(), item.kernel,
             f"{item.failed}/{item.runs}", str(item.matched), f"{item.seconds:.0f} s")
            for item in found
        ]  # fmt: skip
        heads = ("day", "workload", "kernel", "kernel id", "failed", "own failure", "time")
        app.out.print(table(heads, rows))


COMMANDS = (decode_command, crashes_command, history_command)
