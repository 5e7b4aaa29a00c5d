# SPDX-License-Identifier: GPL-2.0-only
"""A new race from a template: a directory that builds and runs before anything is filled in."""

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmrace.definitions.race import find_race
from mmrace.errors import UserError
from mmrace.home import Home, publish, write_file

_FILES = {"race.toml": "race.toml", "stressor.c": "{program}.c", "README.md": "README.md"}


def new_race(home: Home, name: str, into: Path) -> Path:
    """Make the directory ``into/name`` and return it.

    Raises UserError for a name that cannot be one, or that a race has already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise UserError(f"{name!r} is no name for a race: a-z, 0-9 and - only, a letter first")
    if taken := find_race(name):
        raise UserError(f"there is a race {name} already: {taken}; choose another name")
    folder = into / name
    if folder.exists():
        raise UserError(f"{folder} is there already; choose another name, or remove it")
    templates = Environment(
        loader=PackageLoader("mmrace", "templates/race"),
        autoescape=False,  # noqa: S701  C and TOML, not HTML
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    with home.scratch(into) as scratch:
        for source, target in _FILES.items():
            text = templates.get_template(source).render(name=name, program=name)
            write_file(scratch / "race" / target.format(program=name), text)
        return publish(scratch / "race", folder)
