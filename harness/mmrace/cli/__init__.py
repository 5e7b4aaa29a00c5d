# SPDX-License-Identifier: GPL-2.0-only
"""The command line: the only part that prints, reads the environment and knows exit codes."""

import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from mmrace.cli.commands import Commands
from mmrace.cli.ending import exit_code
from mmrace.data import use_races
from mmrace.home import Home

PROJECT_RACES = "mmrace-races"  # beside what people work on, under the current directory
_FIRST = """\
mmrace proves that a race in the Linux memory manager is fixed, or finds the commit that broke it.

Three commands to try:

  mmrace doctor            what this host has, and what to install
  mmrace demo              four bugs put back, then fixed again
  mmrace verify --race khugepaged-retract --tree debian:6.1 \\
      --before vulnerable --after fixes

mmrace --help lists all commands; mmrace COMMAND --help explains one."""


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="mmrace", prog_name="mmrace")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def cli(context: click.Context, as_json: bool) -> None:
    """Prove that a race in the Linux memory manager is fixed, or find the commit that broke it.

    State lives in the XDG cache and data directories; MMRACE_HOME overrides both. Shell
    completion: eval "$(_MMRACE_COMPLETE=bash_source mmrace)".
    """
    if not context.invoked_subcommand and as_json:
        raise click.UsageError("Missing command.", context)
    if not context.invoked_subcommand:
        click.echo(_FIRST)
        return
    home = Home.from_environment(os.environ)
    use_races((Path.cwd() / PROJECT_RACES, home.races))
    # Here, for rich takes longer to import than all of `mmrace --help` may take.
    context.obj = importlib.import_module("mmrace.cli.app").App(home, as_json)
    home.sweep()


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and end the process with the exit code of design."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(exit_code(cli))
