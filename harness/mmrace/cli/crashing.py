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
from mmrace.crash import record
from mmrace.errors import UserError
from mmrace.runs.record import find_run
from mmrace.symbols import decode, identity
from mmrace.symbols.symbolizer import Vmlinux

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FRAMES = 12  # that people are told of
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
    """Read a console log (LOG, a run's, or standard input): its crashes, with a vmlinux its lines.

    Without --vmlinux and --run: title, kind, function, frames of each crash, and why a report is
    corrupted. With a vmlinux: the log with file:line and inlined functions.
    """
    data = _console(app, log, run_name)
    kernel = _vmlinux(app, vmlinux, run_name)
    found = crash.parse(data)
    lines = data.decode(errors="replace").replace("\r", "").replace("\0", "").split("\n")
    decoded = _decoded(app, lines, Vmlinux(kernel, app.home)) if kernel else ()
    app.document(
        {
            "crashes": [record.document(item) for item in found],
            "frames": [
                {"text": item.text.strip(), "places": [asdict(place) for place in item.places]}
                for item in decoded
                if item.places
            ],
        }
    )
    if app.as_json:
        return
    if kernel:
        for line in decode.render(decoded, _Source(source) if source else None):
            click.echo(line)
    else:
        click.echo("\n\n".join(_told(item) for item in found) or "no crash")


def _decoded(app: App, lines: Sequence[str], kernel: Vmlinux) -> tuple[decode.Decoded, ...]:
    """Lines with their places; without, where they are of another kernel than the vmlinux."""
    if why := identity.stranger(lines, kernel.path):
        app.note(f"warning: {why}; frames stay as they are")
        return tuple(decode.Decoded(line) for line in lines)
    decoded = decode.decode(lines, kernel.symbols, kernel.places)
    if not any(item.places for item in decoded):
        app.note("nothing in this log is an address of this vmlinux")
    return decoded


def _told(item: crash.Crash) -> str:
    """Tell one crash to people."""
    frames = [f"{'' if frame.reliable else '? '}{frame.function}" for frame in item.frames]
    rows = (
        ("title", item.title),
        *(("also", title) for title in item.alt_titles),
        ("kind", item.kind.value),
        ("function", item.function or "none"),
        ("corrupted", item.corrupted or "no"),
        ("bytes", f"{item.start} to {item.end}"),
        ("frames", " < ".join(frames[:_FRAMES]) + (" < ..." if len(frames) > _FRAMES else "")),
    )
    return "\n".join(f"{name + ':':<11}{value}" for name, value in rows)


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


def _vmlinux(app: App, given: Path | None, run_name: str | None) -> Path | None:
    """The vmlinux that was named, or a run's; none where a log is all there is."""
    if given or not run_name:
        return given
    kernel_id = find_run(app.home, run_name).spec().kernel_id
    kernel = load_kernel(app.home, kernel_id)
    if not kernel:
        raise UserError(
            f"kernel {kernel_id} is no longer there; `mmrace again {run_name}` makes it"
        )
    return kernel.vmlinux


@click.command("crashes")
@click.argument("logs", nargs=-1, type=_FILE, metavar="[LOG]...")
@click.option("--race", help="Only those seen in runs of this race.")
@click.option("--rebuild", is_flag=True, help="Read all run directories anew.")
@json_option
@click.pass_obj
def crashes_command(app: App, logs: tuple[Path, ...], race: str | None, rebuild: bool) -> None:
    """Crashes over all runs, grouped by kind and title; or those of the given console logs."""
    if logs:
        if race or rebuild:
            raise UserError("--race and --rebuild are about runs; give them without LOG")
        _log_crashes(app, logs)
        return
    with groups.database(app.home, anew=rebuild) as connection:
        found = [item for item in groups.groups(connection) if not race or race in item.races]
    app.document({"groups": [asdict(item) for item in found]})
    if not app.as_json:
        rows = [
            (str(item.runs), item.kind, item.title, " ".join(item.races), item.last)
            for item in found
        ]
        app.out.print(table(("runs", "kind", "title", "races", "last run"), rows))


def _log_crashes(app: App, logs: Sequence[Path]) -> None:
    """Crashes of console logs, in the order of the logs."""
    found: dict[Path, list[crash.Crash]] = {}
    for log in logs:
        with log.open("rb") as stream:
            found[log] = list(crash.parse_stream(stream))
    app.document(
        {
            "logs": [
                {"log": log, "crashes": [record.document(item) for item in items]}
                for log, items in found.items()
            ]
        }
    )
    if not app.as_json:
        rows = [
            (log.name, item.kind.value, item.title, item.corrupted or "no")
            for log, items in found.items()
            for item in items
        ]
        app.out.print(table(("log", "kind", "title", "corrupted"), rows))


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
