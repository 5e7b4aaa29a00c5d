# SPDX-License-Identifier: GPL-2.0-only
"""``replay``: a witness again, on this kernel or another."""

import statistics
from pathlib import Path

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import FILE, WITNESS, refuse, run_options, series_option, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session
from mmrace.definitions.witness import load_witness
from mmrace.experiments.replaying import Replayed, replay
from mmrace.runs.options import RunOptions


@click.command("replay")
@click.argument("witness_path", metavar="WITNESS", type=FILE)
@tree_option()
@series_option
@click.option("--times", type=click.IntRange(1), default=10, show_default=True)
@run_options("2s", "replay (wall time, in which the schedule is tried again)")
@json_option
@click.pass_obj
def replay_command(
    app: App,
    witness_path: Path,
    tree: str,
    series: tuple[str, ...],
    times: int,
    options: RunOptions,
) -> int:
    """Follow the schedule in WITNESS, each time from the same snapshot at the race's start."""
    refuse("replay", WITNESS | {"seed": "a witness names its seed"})
    done = replay(open_session(app), load_witness(witness_path), tree, series, times, options)
    app.document(done.document())
    if not app.as_json:
        _show(app, done)
    return done.exit_code


def _show(app: App, replayed: Replayed) -> None:
    done = replayed.replays
    rows = [
        ("failed with the race's signature", f"{done.failed} of {len(done.done)}"),
        ("of these right after the whole schedule", str(done.shown)),
        ("reached the first sync point", str(done.reached)),
        ("carried out the whole schedule", str(done.complete)),
        ("infeasible", str(done.infeasible)),
        ("failed otherwise", " ".join([str(len(done.foreign)), *sorted(set(done.foreign))])),
        (
            "seconds each, median and longest",
            f"{statistics.median(done.seconds):.2f}, {max(done.seconds):.2f}",
        ),
    ]
    app.out.print(table(("", ""), rows))
    reasons = {item.why for one in done.done if not one.complete for item in one.attempts}
    for why in sorted(reasons - {""}):
        app.out.print(why, markup=False)


COMMANDS = (replay_command,)
