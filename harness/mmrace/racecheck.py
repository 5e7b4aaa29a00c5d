# SPDX-License-Identifier: GPL-2.0-only
"""Whether a race's directory is whole: its programs compile, its points exist, its witnesses fit.

All of that is looked at without a run, and with one kernel at most.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.building.kernel import Kernel
from mmrace.definitions.point import Points
from mmrace.definitions.race import Race, Source, Workload, race_dir
from mmrace.definitions.witness import load_witness
from mmrace.errors import MmraceError, NotHereError, UserError
from mmrace.home import Home
from mmrace.runs.kernels import Built
from mmrace.symbols.resolve import Resolver
from mmrace.userland.program import build_program

Progress = Callable[[str], None]
_SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; ``problem`` is empty when it is right.

    ``kind``: program, point, probe or witness. ``note``: what people may want to know.
    """

    kind: str
    name: str
    problem: str = ""
    note: str = ""


def check_race(
    home: Home, race: Race, built: Built | None, progress: Progress
) -> tuple[Check, ...]:
    """Check all of a race; what needs a kernel only where one is ``built``."""
    commit = built.applied.commit if built else None
    checks = [*check_programs(home, race, commit, progress, built.guest_cc if built else "gcc")]
    resolver = None
    if built:
        progress("reading the kernel's debug information")
        resolver = built.resolver()
        checks += [*check_points(race, resolver), *check_probes(race, built.kernel)]
    return (*checks, *check_witnesses(race, resolver))


def check_programs(
    home: Home, race: Race, commit: str | None, progress: Progress, cc: str = "gcc"
) -> Iterator[Check]:
    """Compile the stressors, and the selftests of a tree's ``commit``; tests of LTP are skipped."""
    for workload in race.workload:
        tree = workload.source is Source.SELFTEST
        if workload.source is Source.LTP or (tree and commit is None):
            yield Check("program", workload.name, note=f"{_SKIPPED}: {_missing(workload)}")
            continue
        try:
            build_program(home, race, workload, commit or "", None, progress, cc)
            yield Check("program", workload.name)
        except NotHereError as error:
            yield Check("program", workload.name, note=f"{_SKIPPED}: {error.message}")
        except MmraceError as error:
            yield Check("program", workload.name, error.message)


def check_points(race: Race, resolver: Resolver) -> Iterator[Check]:
    """Resolve every point that the race names: of windows, delays and costs."""
    for name, points in _points(race):
        yield _resolved("point", name, points, resolver)


def check_probes(race: Race, kernel: Kernel) -> Iterator[Check]:
    """Look for the functions of the probes, which PID 1 finds by name, among the symbols."""
    text = (kernel.folder / "System.map").read_text(encoding="ascii")
    symbols = set(re.findall(r"^[0-9a-f]+ [tTwW] (\S+)$", text, re.MULTILINE))
    for probe in race.probe:
        found = next((name for name in probe.function if name in symbols), "")
        missing = f"this kernel has no function {' and no '.join(probe.function)}"
        if probe.every and not found:
            yield Check("probe", probe.name, note=f"copies that are inlined in {probe.file}")
        else:
            yield Check("probe", probe.name, "" if found else missing, note=found)


def check_witnesses(race: Race, resolver: Resolver | None) -> Iterator[Check]:
    """Read the witnesses beside race.toml; with a kernel, resolve their points as well."""
    for path in witness_files(race_dir(race.name)):
        try:
            witness = load_witness(path)
            if witness.race != race.name:
                raise UserError(f"witness of race {witness.race!r}; move it to that race")
            race.find_workload(witness.workload)
            for number, step in enumerate(witness.step, 1):
                if step.point and resolver:
                    found = _resolved("witness", f"step {number}", step.point, resolver)
                    if found.problem:
                        raise UserError(f"step {number} cannot be found; {found.problem}")
            yield Check("witness", path.name, note=f"{len(witness.step)} steps")
        except UserError as error:
            yield Check("witness", path.name, error.message)


def witness_files(folder: Path) -> list[Path]:
    """Files beside race.toml that are called witnesses."""
    return sorted(folder.glob("*witness*.toml"))


def _missing(workload: Workload) -> str:
    return "LTP is not built here" if workload.source is Source.LTP else "name a --tree"


def _points(race: Race) -> Iterator[tuple[str, Points]]:
    for window in race.window:
        yield f"{window.name}: hold", window.hold
        yield f"{window.name}: until", window.until
    for points in race.delays.points if race.delays else ():
        yield "delays", points
    for cost in race.cost:
        yield f"cost {cost.name}: start", cost.start
        yield f"cost {cost.name}: stop", cost.stop


def _resolved(kind: str, name: str, points: Points, resolver: Resolver) -> Check:
    try:
        found = resolver.resolve(points)
        return Check(kind, name, note=_address_text(found.point, found.addresses))
    except UserError as error:
        return Check(kind, name, error.message)


def _address_text(point: str, addresses: Sequence[int]) -> str:
    return f"{point}: {' '.join(f'{address:#x}' for address in addresses)}"
