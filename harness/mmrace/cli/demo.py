# SPDX-License-Identifier: GPL-2.0-only
"""``demo``: races with their bugs put back, then fixed again."""

import time

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import UNSTEERED, refuse, run_options, tree_option
from mmrace.cli.printing import runs_table
from mmrace.cli.session import open_session, report
from mmrace.experiments.demo import Shown, demonstrate
from mmrace.runs.options import RunOptions

TREE = "debian:6.1"


@click.command("demo")
@tree_option(required=False)
@run_options("60s", "run that nothing ends earlier")
@json_option
@click.pass_obj
def demo(app: App, tree: str | None, options: RunOptions) -> int:
    """Show races before and after their fixes: the bug put back, then fixed again.

    Each path of a race runs once on either kernel. The kernel after runs for at least 20 times as
    long as the kernel before took to fail.
    """
    refuse("demo", UNSTEERED)
    started = time.monotonic()
    shown: list[Shown] = []

    def tell(one: Shown) -> None:
        shown.append(one)
        app.note(f"{one.race.name}, {one.path}: {one.line}")

    done = demonstrate(open_session(app), tree or TREE, options, tell)
    app.document(
        {
            "runs": [run.as_json() for run in done.runs],
            "not_run": [vars(item) for item in done.not_run],
            "expected": done.exit_code == 0,
        }
    )
    if not app.as_json:
        _show(app, shown)
        app.out.print()
        app.out.print(runs_table(done.runs))
    for item in done.not_run:
        app.note(f"{item.race}/{item.workload}: not run: {item.why}")
    app.note(f"{len(done.runs)} runs in {time.monotonic() - started:.0f} s")
    for one in done.shown:
        if not one.expected:
            app.note(f"not as expected: {one.race.name}, {one.path}: {one.line}")
    report(app, done.runs, "mmrace demo", done.not_run)
    app.note(
        f"next:   mmrace verify --race khugepaged-retract --tree {tree or TREE} "
        "--before vulnerable --after fixes"
    )
    if done.error:
        raise done.error
    return done.exit_code


def _show(app: App, shown: list[Shown]) -> None:
    for one in shown:
        mark = "ok " if one.expected else "NOT"
        app.out.print(f"{mark} {one.race.name}, {one.path}: {one.line}", markup=False)


COMMANDS = (demo,)
