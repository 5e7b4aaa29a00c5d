# SPDX-License-Identifier: GPL-2.0-only
"""The cost of a fix: guest instructions per operation on both kernels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby, product
from typing import Any

from mmrace.definitions.race import Cost, Race, load_race, race_names
from mmrace.errors import UserError
from mmrace.executors.executor import Group, in_order
from mmrace.experiments.session import Session
from mmrace.judging.channel import parse
from mmrace.outcome import Outcome
from mmrace.runs.cell import Cell
from mmrace.runs.exercise import touched_by
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.verdicts.cost import Difference, Figure, figure
from mmrace.verdicts.verdict import Arm
from mmrace.windows.plan import Plan, PlannedMeter


@dataclass(frozen=True)
class Costs:
    """Guest instructions of each operation before and after, and the runs that measured them."""

    differences: tuple[Difference, ...]
    runs: tuple[RunDir, ...]

    @property
    def exit_code(self) -> int:
        """0 when every operation was measured on both kernels, else 3."""
        return 0 if all(item.before and item.after for item in self.differences) else 3

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "operations": [
                {**asdict(item), "added": item.added, "share": item.share, "clear": item.clear}
                for item in self.differences
            ],
            "runs": [run.as_json() for run in self.runs],
        }


def choose_operations(
    races: Sequence[str], operations: Sequence[str]
) -> list[tuple[Race, tuple[Cost, ...]]]:
    """Return the named operations of races, by default all; UserError for an unknown name.

    Without races: of all races that define operations.
    """
    found = [load_race(name) for name in (races or race_names())]
    known = [item.name for race in found for item in race.cost]
    for name in operations:
        if name not in known:
            raise UserError(f"no operation named {name!r}; known: {', '.join(known) or 'none'}")
    chosen = [
        (race, tuple(item for item in race.cost if not operations or item.name in operations))
        for race in found
    ]
    if not any(costs for _, costs in chosen):
        raise UserError(f"{', '.join(races)} names no operation; add a [[cost]] to race.toml")
    return [(race, costs) for race, costs in chosen if costs]


def operations_of(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    races: Sequence[str],
    operations: Sequence[str],
    repro: Race | None,
    options: RunOptions,
) -> list[tuple[Race, tuple[Cost, ...]]]:
    """Return the operations of races, or, for a reproducer, the functions that the series changes.

    Raises UserError as ``choose_operations`` and ``costs_of_series`` do, and when both races and a
    reproducer are named.
    """
    if not repro:
        return choose_operations(races, operations)
    if races or operations:
        raise UserError("--repro measures what the series changes; omit --race and --operation")
    return costs_of_series(session, tree, before, after, repro, options)


def costs_of_series(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    race: Race,
    options: RunOptions,
) -> list[tuple[Race, tuple[Cost, ...]]]:
    """Return the functions that the series changes, as operations of a reproducer."""
    arms = session.arms(tree, before, after, options, race)
    resolvers = [arms[arm].resolver() for arm in Arm]
    found = []
    touched = touched_by(session.home, *(arms[arm].applied.commit for arm in Arm))
    for name, file in touched.functions:
        points = tuple(f"{where} of {file}:{name}" for where in ("entry", "return"))
        try:
            for resolver, point in product(resolvers, points):
                resolver.resolve([point])
        except UserError as error:
            session.note(f"{name} is not measured: {error.message}")
            continue
        found.append(
            Cost(
                name=_word(name),
                summary=f"calls of {name}",
                workload=race.workload[0].name,
                start=points[:1],
                stop=points[1:],
            )
        )
    if not found:
        raise UserError("the series changes no function that can be measured; name a --race")
    return [(race, tuple(found))]


def _word(function: str) -> str:
    word = function.strip("_").replace("_", "-").lower()
    return word if word[:1].isalpha() else f"f-{word}"


def measure_costs(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    chosen: Sequence[tuple[Race, tuple[Cost, ...]]],
    options: RunOptions,
) -> Costs:
    """Measure operations on both kernels; operations with the same workload share a run."""
    groups = [
        (race, session.arms(tree, before, after, options, race), tuple(together))
        for race, costs in chosen
        for _, together in groupby(costs, lambda item: (item.workload, item.machine))
    ]
    plans = [partial(_plan_pair, session, *group, options) for group in groups]
    made: list[Difference] = []
    runs: list[RunDir] = []
    pairs = in_order(session.executor, plans)
    for (_, _, operations), pair in zip(groups, pairs, strict=True):
        runs += pair
        old, new = (figures(run, operations) for run in pair)
        made += [Difference(item.name, old[item.name], new[item.name]) for item in operations]
    return Costs(tuple(made), tuple(runs))


def _plan_pair(
    session: Session,
    race: Race,
    arms: Mapping[Arm, Built],
    costs: Sequence[Cost],
    options: RunOptions,
) -> Group:
    """Plan one workload's run on both kernels, with a meter for each of its operations.

    Raises UserError for a sync point that a kernel does not have, or an accelerator without
    plugins.
    """
    return tuple(_plan(session, arms[arm], race, costs, options) for arm in Arm)


def _plan(
    session: Session, built: Built, race: Race, costs: Sequence[Cost], options: RunOptions
) -> Cell:
    workload = race.find_workload(costs[0].workload)
    options = options.with_(steer=False, machine=options.machine or costs[0].machine)
    cell = session.planner.plan(built, race, workload, options)
    if cell.accel.name != "tcg":
        raise UserError("instructions are counted under TCG only; say --accel tcg")
    if cell.spec.machine.cpus != 1:
        raise UserError(f"machine {cell.spec.machine.name} has several vCPUs; operations need one")
    resolver = built.resolver()
    meters = tuple(
        PlannedMeter(cost.name, resolver.resolve(cost.start), resolver.resolve(cost.stop))
        for cost in costs
    )
    return cell.model_copy(update={"plan": Plan(meters=meters, seed=cell.spec.seed)})


def figures(run: RunDir, costs: Sequence[Cost]) -> dict[str, Figure | None]:
    """Return a run's measurements by operation, in guest instructions.

    None for too few measurements, and for a run that failed, as a broken kernel's count is no cost.
    Min counts of the workload prove that the race was exercised; here the number of measurements is
    the proof, so they are ignored.
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
