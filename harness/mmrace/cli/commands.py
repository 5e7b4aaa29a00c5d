# SPDX-License-Identifier: GPL-2.0-only
"""The commands, by section of `mmrace --help`; a command's module is imported when it is used."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

# Command: its module, and what the list says of it. Importing all modules takes seconds.
SECTIONS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Everyday": {
        "demo": ("running", "Show races before and after their fixes."),
        "run": ("running", "Run a race, or a reproducer, on one kernel."),
        "verify": ("comparing", "Decide whether a series fixes a race."),
        "bisect": ("bisecting", "Find the commit that brings or ends a failure."),
        "matrix": ("comparing", "Run races on all combinations of trees and series."),
        "cost": ("comparing", "Count guest instructions before and after a fix."),
        "again": ("running", "Repeat a recorded run."),
        "shell": ("running", "Boot a kernel and hand over its console."),
        "ci": ("unattended", "Decide all cells of a job within its budget of time."),
        "check-series": ("checking", "Check a series for b4 review."),
    },
    "From disk": {
        "runs": ("records", "List the runs on disk."),
        "report": ("records", "Write reports for people and for CI."),
        "judge": ("records", "Judge a run again."),
        "crashes": ("crashing", "Group the crashes of all runs, or of logs."),
        "decode": ("crashing", "List a console log's crashes, or add source lines."),
        "history": ("crashing", "Show how often a race failed."),
    },
    "Sources": {
        "tree": ("sources", "Import and list kernel and LTP sources."),
        "apply": ("sources", "Apply series to a tree."),
        "build": ("sources", "Build a kernel."),
    },
    "Search": {
        "hunt": ("search", "Search for a schedule that shows a race."),
        "attack": ("search", "Search for a schedule that breaks a fix."),
        "replay": ("search", "Follow the schedule of a witness."),
        "points": ("search", "List the sync points of a function."),
    },
    "Housekeeping": {
        "doctor": ("about", "Show what this host has, and what to install."),
        "races": ("about", "List the races."),
        "race": ("about", "Make and check a race of your own."),
        "clean": ("records", "Show what the home holds, and free space."),
        "worker": ("about", "Run cells for a Dask scheduler."),
    },
}
COMMANDS = {name: module for names in SECTIONS.values() for name, (module, _) in names.items()}


class Commands(click.Group):
    """The group of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; then do what waits for its answer to be printed."""
        result = super().invoke(ctx)
        sys.stdout.flush()
        if ctx.obj:
            ctx.obj.end_answer()
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, section by section."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        held = vars(importlib.import_module(f"mmrace.cli.{COMMANDS[cmd_name]}")).values()
        found = (one for one in held if isinstance(one, click.Command))
        return next(one for one in found if one.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list, section by section, without importing a command."""
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in names.items()])
