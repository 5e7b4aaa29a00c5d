# SPDX-License-Identifier: GPL-2.0-only
"""A new race from a template: a directory that builds and runs before anything is filled in."""

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmrace.definitions.race import find_race
from mmrace.definitions.reproducer import BUILT_ELSEWHERE, is_reproducer
from mmrace.errors import UserError
from mmrace.home import Home, publish, write_file
from mmrace.judging.channel import parse
from mmrace.runs.record import RunDir, find_run
from mmrace.userland.reproducer import reproducer_folder

_FILES = {"race.toml": "race.toml", "stressor.c": "{program}.c", "README.md": "README.md"}
_FROM_RUN = {"race.toml": "reproducer.toml", "README.md": "reproducer.md"}
_SHARE = 10  # of what a run counted one part is asked of others


def make_race(home: Home, name: str, into: Path | None, run: str | None) -> tuple[Path, str]:
    """Make a race's directory, out of a run of a reproducer where one is named.

    ``into`` is its parent, None: the home. Returns the directory and the command that runs it.
    Errors as of ``new_race`` and ``race_from_run``.
    """
    where, words = into or home.races, ["mmrace", "run", "--race", name]
    if not run:
        folder, kernel = new_race(home, name, where), ["--tree", "debian:6.1"]
    else:
        found = find_run(home, run)
        folder, spec = race_from_run(home, name, where, found), found.spec()
        kernel = ["--tree", spec.tree, *(w for one in spec.series for w in ("--series", one))]
    return folder, shlex.join([*words, *kernel, "--for", "10s"])


def new_race(home: Home, name: str, into: Path) -> Path:
    """Make the directory ``into/name`` and return it.

    Raises UserError for a name that cannot be one, or that a race has already.
    """
    folder = _free(name, into)
    templates = _templates()
    with home.scratch(into) as scratch:
        for source, target in _FILES.items():
            text = templates.get_template(source).render(name=name, program=name)
            write_file(scratch / "race" / target.format(program=name), text)
        return publish(scratch / "race", folder)


def race_from_run(home: Home, name: str, into: Path, run: RunDir) -> Path:
    """Make the directory ``into/name`` of a race out of a run of a reproducer, and return it.

    It has the program, the signature that the run was judged by, and a tenth of its counts. Raises
    UserError for a run of anything else.
    """
    folder = _free(name, into)
    spec = run.spec()
    if not is_reproducer(spec.race):
        raise UserError(f"{run.id} is a run of race {spec.race.name}; name a run of a reproducer")
    words = _from_run(name, run)
    with home.scratch(into) as scratch:
        for target, source in _FROM_RUN.items():
            text = _templates().get_template(source).render(words)
            write_file(scratch / "race" / target, text)
        if not spec.workload.sources[0].startswith(BUILT_ELSEWHERE):
            kept = reproducer_folder(home, spec.race)
            for file in spec.workload.sources:
                shutil.copyfile(kept / file, scratch / "race" / file)
        return publish(scratch / "race", folder)


def _from_run(name: str, run: RunDir) -> Mapping[str, Any]:
    spec, judged = run.spec(), run.judgement()
    counted = parse(run.channel()).counters
    counts = {key: max(1, count // _SHARE) for key, (count, _) in judged.exercised.items()}
    execution = spec.workload.execution
    argv = ["mmrace", "run", "--race", name, "--tree", spec.tree]
    for series in spec.series:
        argv += ["--series", series]
    env = ", ".join(f"{key} = {_toml(value)}" for key, value in spec.workload.env.items())
    return {
        "name": name,
        "run": run.id,
        "release": f"{spec.tree} ({spec.release})",
        "race": spec.race,
        "workload": spec.workload,
        "functions": [
            probe.function[0] for probe in spec.race.probe if counted.get(f"probe:{probe.name}")
        ],
        "machine": spec.machine.name,
        "boot": spec.boot[len(spec.machine.boot) :],
        "env": f"{{ {env} }}" if env else "",
        "execution": execution.model_dump(mode="json", exclude_defaults=True, exclude={"given"}),
        "min_counts": counts,
        "shown": judged.title or str(judged.outcome),
        "command": shlex.join(argv),
    }


def _free(name: str, into: Path) -> Path:
    """Return the directory of a race to be made; UserError when the name cannot be had."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UserError(f"not a name for a race: {name!r}; use a-z, 0-9 and -, a letter first")
    if taken := find_race(name):
        raise UserError(f"race {name} exists: {taken}; choose another name")
    folder = into / name
    if folder.exists():
        raise UserError(f"{folder} exists; choose another name, or remove it")
    return folder


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("mmrace", "templates/race"),
        autoescape=False,  # noqa: S701  C and TOML, not HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    templates.filters["toml"] = _toml
    return templates


def _toml(value: object) -> str:
    """A TOML value: JSON's strings, numbers, booleans and arrays are TOML as well."""
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
