# SPDX-License-Identifier: GPL-2.0-only
"""Operations measured on one kernel: the director counts instructions while a workload runs."""

import json
from collections.abc import Sequence
from dataclasses import replace

from mmrace.definitions.race import Cost, Race
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.judging.channel import parse
from mmrace.outcome import Outcome
from mmrace.runs.campaign import Built, Choice, Workbench, command_line
from mmrace.runs.cost import Figure, figure
from mmrace.runs.record import RunDir
from mmrace.symbols.resolve import Resolver
from mmrace.windows.director import Director, build
from mmrace.windows.plan import Plan, PlannedMeter


def measure(
    home: Home, bench: Workbench, built: Built, race: Race, costs: Sequence[Cost], choice: Choice
) -> RunDir:
    """Run the workload that operations share, with a meter for each of them.

    Raises UserError for a point that the kernel does not have, or an accelerator without plugins.
    """
    workload = race.find_workload(costs[0].workload)
    choice = replace(choice, steer=False, machine=choice.machine or costs[0].machine)
    command = command_line(built, race, workload, choice)
    spec, parts = bench.plan(built, race, workload, choice, command)
    if parts.accel.name != "tcg":
        raise UserError("instructions are counted under TCG only; say --accel tcg")
    if spec.machine.cpus != 1:
        raise UserError(f"machine {spec.machine.name} has several vCPUs; operations need one")
    name = f"{spec.tree} {'+'.join(spec.series)} ({spec.release})"
    resolver = Resolver(built.kernel.vmlinux, name, built.kernel.folder / "points.json")
    meters = tuple(
        PlannedMeter(cost.name, resolver.resolve(cost.start), resolver.resolve(cost.stop))
        for cost in costs
    )
    director = Director(Plan(meters=meters, seed=spec.seed), build(home))
    return bench.run(spec, replace(parts, director=director))


def figures(run: RunDir, costs: Sequence[Cost]) -> dict[str, Figure | None]:
    """Read what a run measured, by operation.

    None where it measured too little, or failed: what a broken kernel executed is no cost. The
    workload's min counts are for the race, here the number of measurements is the proof.
    """
    held = run.judgement().outcome in (Outcome.PASS, Outcome.NOT_EXERCISED)
    measured = {item["name"]: item for item in json.loads((run.folder / "meters.json").read_text())}
    counters = parse(run.channel()).counters
    found: dict[str, Figure | None] = {}
    for cost in costs:
        beside = {name: counters.get(name, 0) for name in cost.counters}
        samples = measured[cost.name]["samples"]
        found[cost.name] = figure(samples, beside) if held else None
    return found
