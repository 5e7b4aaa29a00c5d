# SPDX-License-Identifier: GPL-2.0-only
"""Races: all of them, one, a new one, one that was checked, and what can be named for one."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmrace.answers.answer import Answer, Table
from mmrace.definitions.base import load_bases
from mmrace.definitions.race import Race, find_race, load_race, race_names
from mmrace.racecheck import Check
from mmrace.runs.kernels import Built
from mmrace.searching.ground import Ground
from mmrace.searching.listing import ListedPair
from mmrace.symbols.nameable import Nameable


def race_list() -> Answer:
    """Return all races, each with the bases whose series bring its bug back."""
    races, known = [load_race(name) for name in race_names()], load_bases()
    bases = [(race, [base.name for base in known if base.covers(race.name)]) for race in races]
    document = [
        {"name": race.name, "bases": names, "workloads": [w.name for w in race.workload]}
        for race, names in bases
    ]
    rows = [
        (race.name, " ".join(names), " ".join(w.name for w in race.workload), race.title)
        for race, names in bases
    ]
    lines = Table(("race", "bug"), [(race.name, race.title) for race in races], cut=True)
    details = Table(("race", "bases", "workloads", "bug"), rows)
    return Answer({"races": document}, (lines,), details=(details,))


def race_details(race: Race) -> Answer:
    """Return one race: what it is, its paths, its workloads."""
    paths = [
        (name, workload.name, next((p.summary for p in race.path if p.name == name), ""))
        for name, workload in race.paths().decided.items()
    ]
    rows = [
        (
            one.name,
            str(one.source),
            " ".join(f"{name}>={least}" for name, least in one.min_counts.items()),
            one.summary,
        )
        for one in race.workload
    ]
    text = (
        f"{race.name}: {race.title}",
        Table(
            ("",), [(f"{' '.join(one.split())}\n",) for one in race.summary.strip().split("\n\n")]
        ),
        Table(("path", "decided by", "what it is"), paths),
        Table(("workload", "source", "min counts", "what it does"), rows),
    )
    return Answer({"race": race.model_dump(mode="json")}, text)


def new_race(name: str, folder: Path, run: str) -> Answer:
    """Return the directory of a new race, and the command that runs it."""
    files = sorted(path.name for path in folder.iterdir())
    text = (
        f"{folder}: {', '.join(files)}",
        f"next: {run}",
    )
    lost = "rename this directory to ./mmrace-races, where mmrace looks for races"
    notes = [] if find_race(name) else [lost]
    return Answer({"race": name, "folder": str(folder), "files": files}, text, notes=notes)


def race_checks(race: Race, checks: Sequence[Check]) -> Answer:
    """Return what is wrong with a race's directory."""
    wrong = any(check.problem for check in checks)
    rows = [
        ("WRONG" if check.problem else "ok", check.kind, check.name, check.problem or check.note)
        for check in checks
    ]
    document = {"race": race.name, "ok": not wrong, "checks": [asdict(check) for check in checks]}
    return Answer(document, (Table(("", "what", "name", ""), rows),), 2 if wrong else 0)


def points(built: Built, function: str, found: Nameable) -> Answer:
    """Return what a window or a witness can name in a function."""
    document = {
        "function": function,
        "kernel_id": built.kernel.id,
        "points": [
            {
                "name": item.name,
                "line": item.line,
                "kind": item.kind,
                "address": f"{item.address:#x}",
            }
            for item in found.occurrences
        ],
        "edges": found.edges,
    }
    rows = [
        *(
            (item.name, str(item.line), item.kind, f"{item.address:#x}")
            for item in found.occurrences
        ),
        *((f"{edge} of {function}", "", "", " ".join(at)) for edge, at in found.edges.items()),
    ]
    return Answer(document, (Table(("name", "line", "kind", "address"), rows),))


def pairs(built: Built, ground: Ground, found: Sequence[ListedPair]) -> Answer:
    """Return the pairs of accesses that a workload made, the closest in time first."""
    profile = ground.profile
    document = {
        "kernel_id": built.kernel.id,
        "boots": profile.boots,
        "seconds": profile.seconds,
        "total": len(profile.pairs),
        "pairs": [asdict(pair) for pair in found],
    }
    rows = [
        (f"{pair.gap * 1e6:.1f}", str(pair.count), str(pair.first), str(pair.second))
        for pair in found
    ]
    head = ("gap, us", "times", "first", "then, by another vCPU")
    note = f"{len(found)} of {len(profile.pairs)} pairs, {profile.boots} boots"
    return Answer(document, (Table(head, rows),), notes=[note])
