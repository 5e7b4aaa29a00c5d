# SPDX-License-Identifier: GPL-2.0-only
"""What a SERIES on the command line denotes."""

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from mmrace.data import data_dir
from mmrace.definitions.base import Base, Mark, load_bases, nearest_bases
from mmrace.definitions.race import find_race
from mmrace.errors import UserError
from mmrace.patching.applied import Applied, apply_series
from mmrace.patching.outside import read_outside
from mmrace.patching.patch import Patch, Series, read_listed
from mmrace.patching.quilt import read_quilt

_BUILD = "build"  # makes trees compile that no compiler of today takes as they are
_NAMED = ("vulnerable", "fixes", "alternatives", _BUILD)
_CHOSEN = re.compile(r"(.*)\[([\d,]*)\]")
__all__ = [
    "Applied",
    "Patch",
    "Series",
    "apply_series",
    "resolve_series",
    "series_names",
    "with_build",
]


def resolve_series(name: str, base: Base, stdin: bytes = b"") -> Series:
    """Read the series of a name in the base's patches, ``none``, or one from outside.

    ``vulnerable/RACE`` and ``fixes/RACE`` may also be directories beside the race's own
    ``race.toml``, with patches for any kernel or with a directory for each base. What a name from
    outside may be, says ``read_outside``. ``NAME[1,3]`` are the first and the third patch of NAME.
    Raises UserError when there is no such series, or it is damaged.
    """
    if chosen := _CHOSEN.fullmatch(name):
        return _choose(resolve_series(chosen[1], base, stdin), chosen[2])
    if name in ("none", ""):
        return Series("none", (), outside=False)
    if name.partition("/")[0] in _NAMED:
        return _read_named(base, name)
    if found := read_outside(name, stdin):
        return found
    if "/" in name or PurePath(name).suffix:
        raise UserError(f"no such file: {name}; give a patch, an mbox, a directory or a message-id")
    known = ", ".join(series_names(base))
    raise UserError(f"no series {name!r} for base {base.name}; known: {known}; or name a file")


def _read_named(base: Base, name: str) -> Series:
    """Read a series of mmrace's own."""
    kind, _, rest = name.partition("/")
    sides = kind in ("vulnerable", "fixes") and rest and not _read_list(base.folder / kind, rest)
    if sides and (own := _beside_race(base, name, kind, rest)):
        return own
    if not base.covered:
        return _borrowed(base, name)
    if kind == "alternatives":
        alternative, _, rest = rest.partition("/")
        kind = f"alternatives/{alternative}"
    return _own(base, name, kind, rest)


def _borrowed(base: Base, name: str) -> Series:
    """Read a named series for a version that no base covers: from those around it."""
    near = nearest_bases(base.name)
    offers = []
    for other in near:
        with suppress(UserError):
            offers.append(replace(resolve_series(name, other), borrowed=other.name))
    if not offers:
        raise UserError(
            f"no series {name!r} for linux {base.name}: no base covers it, and the nearest, "
            f"{' and '.join(other.name for other in near)}, have none; name a file"
        )
    return replace(offers[0], instead=tuple(offers[1:]))


def with_build(names: tuple[str, ...], base: Base) -> tuple[str, ...]:
    """Put what the base's trees need to be compiled before everything else, once."""
    has = (base.folder / _BUILD / "series").is_file()
    return (_BUILD, *names) if has and _BUILD not in names else names


def _choose(whole: Series, numbers: str) -> Series:
    """Take some patches out of a series, in its order."""
    name = f"{whole.name}[{numbers}]"
    chosen = {int(number) for number in numbers.split(",") if number}
    if missing := sorted(chosen - set(range(1, len(whole.patches) + 1))):
        raise UserError(
            f"{name}: series has {len(whole.patches)} patches; patch {missing[0]} does not exist"
        )
    patches = tuple(p for number, p in enumerate(whole.patches, 1) if number in chosen)
    groups = {patch.group for patch in patches}
    opposite = tuple(patch for patch in whole.opposite if patch.group in groups)
    return replace(whole, name=name, patches=patches, opposite=opposite, instead=())


def series_names(base: Base) -> list[str]:
    """Names of the series that a base has."""
    found = [path.parent.relative_to(base.folder) for path in base.folder.glob("**/series")]
    return ["none", *sorted(str(path) for path in found)]


def _beside_race(base: Base, name: str, kind: str, race: str) -> Series | None:
    """Read the patches that lie beside a race's race.toml; None when there are none for the base.

    Where the directory has one for each base (``vulnerable/6.1``), only that of ``base`` counts.
    """
    race_folder = find_race(race)
    if not race_folder:
        return None
    folder = race_folder / kind
    by_base = any((folder / other.name).is_dir() for other in load_bases())
    folder = folder / base.name if by_base else folder
    found = read_outside(str(folder), b"") if folder.is_dir() else None
    if not found:
        return None
    patches = tuple(replace(one, name=f"{race}/{one.name}") for one in found.patches)
    outside = race_folder.parent != data_dir("races")
    taken_out = _beside_race(base, name, "vulnerable", race) if kind == "fixes" else None
    opposite = taken_out.patches if taken_out else ()
    return replace(found, name=name, patches=patches, outside=outside, opposite=opposite)


def _own(base: Base, name: str, folder: str, race: str) -> Series:
    patches = _read_list(base.folder / folder, race)
    races = {patch.group for patch in patches}
    if folder == "fixes":
        races |= {race} if race else set(base.race)
    marks = _marks(base, races) if folder != "vulnerable" else ()
    if not patches and not marks:
        has = base.race.get(race)
        if folder == "vulnerable" and (not race or (has and has.pristine == "has")):
            return Series(name, (), outside=False)  # the bug is in the tree as it is
        known = ", ".join(series_names(base))
        raise UserError(f"no series {name!r} for base {base.name}; known: {known}")
    if folder == "vulnerable":
        return Series(name, patches, outside=False)
    opposite = _read_list(base.folder / "vulnerable", race)
    mine = tuple(patch for patch in opposite if patch.group in races)
    return Series(name, patches, False, mine, marks=marks)


def _marks(base: Base, races: set[str]) -> tuple[tuple[str, tuple[Mark, ...]], ...]:
    """What shows that a tree has the fixes of these races, as far as the base says."""
    return tuple(
        (race, state.fixed_if)
        for race, state in base.race.items()
        if race in races and state.fixed_if
    )


def _read_list(folder: Path, race: str) -> tuple[Patch, ...]:
    """Patches that the folder's quilt ``series`` lists, of one race or of all."""
    if not (folder / "series").is_file():
        return ()
    listed, _ = read_quilt(folder / "series")
    return read_listed(one for one in listed if not race or one.name.startswith(f"{race}/"))
