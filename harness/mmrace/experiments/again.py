# SPDX-License-Identifier: GPL-2.0-only
"""Repeating a recorded run."""

from dataclasses import replace

from mmrace.executors.executor import in_order
from mmrace.experiments.running import Runs
from mmrace.experiments.session import Session
from mmrace.runs.record import SERIES, RunDir


def run_again(session: Session, run: RunDir) -> Runs:
    """Make a run with the recorded kernel, workload, machine, kernel parameters and seed.

    Series from outside are read from the run's directory, whatever the current directory is.
    """
    spec = run.spec()
    session = session.taking(replace(session.intake, kept=run.folder / SERIES))
    options = spec.options.with_(seed=spec.seed, accel=spec.accel, steer=spec.steered)
    built = session.build(spec.tree, spec.series, options, spec.race)
    if built.kernel.id != spec.kernel_id:
        session.note(
            f"kernel {spec.kernel_id} cannot be built any more; running {built.kernel.id}, which "
            "the same tree, series and config give now"
        )
    cell = session.planner.plan(
        built, spec.race, spec.workload, options, origin=spec.origin, like=spec
    )
    (runs,) = in_order(session.executor, [lambda: (cell,)])
    return Runs(runs)
