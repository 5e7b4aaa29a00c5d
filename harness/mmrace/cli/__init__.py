# SPDX-License-Identifier: GPL-2.0-only
"""The command line: the only part that prints, reads the environment and knows exit codes."""

import errno
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import click

from mmrace import __version__
from mmrace.cli.app import App, error_document, kind_of, print_document
from mmrace.data import use_races
from mmrace.errors import InfraError, MmraceError, disk_full
from mmrace.home import Home

INTERRUPTED = 130
INTERNAL = 70
PROJECT_RACES = "mmrace-races"  # beside what people work on, under the current directory

# A module is imported when one of its commands is used: scipy alone takes a second.
MODULES = {
    "about": ("doctor", "races", "race"),
    "sources": ("tree", "apply", "build"),
    "pointing": ("points",),
    "replaying": ("replay",),
    "hunting": ("hunt",),
    "attacking": ("attack",),
    "running": ("run", "again", "shell"),
    "verifying": ("verify",),
    "bisecting": ("bisect",),
    "matrix": ("matrix",),
    "checking": ("check-series",),
    "unattended": ("ci",),
    "costing": ("cost",),
    "records": ("runs", "judge", "report", "clean"),
    "crashing": ("decode", "crashes", "history"),
    "demo": ("demo",),
    "working": ("worker",),
}


class _Commands(click.Group):
    """The commands of ``MODULES``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what waits for its end is done when it has come to it."""
        result = super().invoke(ctx)
        sys.stdout.flush()
        if isinstance(ctx.obj, App):
            ctx.obj.told()
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names in the order of ``MODULES``."""
        return [name for names in MODULES.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        for module, names in MODULES.items():
            if cmd_name in names:
                commands = importlib.import_module(f"mmrace.cli.{module}").COMMANDS
                found: click.Command = commands[names.index(cmd_name)]
                return found
        return None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mmrace")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def cli(context: click.Context, as_json: bool) -> None:
    """Prove that a race in the Linux memory manager is fixed, or find the commit that broke it.

    State lives in the XDG cache and data directories; MMRACE_HOME overrides both. Shell
    completion: eval "$(_MMRACE_COMPLETE=bash_source mmrace)".
    """
    home = Home.from_environment(os.environ)
    use_races((Path.cwd() / PROJECT_RACES, home.races))
    context.obj = App(home, as_json)
    App.has_told = False
    home.sweep()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and end the process with the exit code of design."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = cli.main(standalone_mode=False, prog_name="mmrace")
    except MmraceError as error:
        return _say(error)
    except click.ClickException as error:
        error.show()
        return _document("usage", error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("mmrace: interrupted", err=True)
        return _document("interrupted", "interrupted", INTERRUPTED)
    except (MemoryError, OSError) as error:
        return _say(_of_host(error))
    except Exception as error:
        traceback.print_exc()
        click.echo("mmrace: a bug in mmrace; please report the lines above", err=True)
        return _document("bug", f"{type(error).__name__}: {error}", INTERNAL)
    return code if isinstance(code, int) else 0


def _document(kind: str, message: str, code: int) -> int:
    """Print the error as the one JSON document, when JSON was asked for."""
    # A usage error comes before click has read the option.
    words = sys.argv[1:]
    if "--json" in words[: words.index("--") if "--" in words else None] and not App.has_told:
        print_document(error_document(kind, message, code))
    return code


def _of_host(error: MemoryError | OSError) -> InfraError:
    if isinstance(error, MemoryError):
        return InfraError("the host's memory is short; end something, or take fewer --jobs")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(error.filename or "mmrace's home")
    where = f"{error.filename}: " if error.filename else ""
    return InfraError(f"{where}{error.strerror}; free space or fix the path, then again")


def _say(error: MmraceError) -> int:
    if error.detail:
        click.echo(error.detail, err=True)
    click.echo(f"mmrace: {error.message}", err=True)
    return _document(kind_of(error), error.message, error.exit_code)
