# SPDX-License-Identifier: GPL-2.0-only
"""A race as people write it in ``<race>/race.toml``, in one of ``data.race_folders``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mmrace.data import race_folders
from mmrace.definitions.point import Points
from mmrace.definitions.window import Delays, Window
from mmrace.definitions.workload import (
    Execution,
    FailsBy,
    Probe,
    Regex,
    Source,
    Tolerated,
    Workload,
)
from mmrace.errors import UserError
from mmrace.toml import Table, read_toml

__all__ = [
    "Cost",
    "Execution",
    "FailsBy",
    "Paths",
    "Probe",
    "Race",
    "RacePath",
    "Signature",
    "Source",
    "Tolerated",
    "Workload",
    "find_race",
    "load_race",
    "race_dir",
    "race_names",
]


class Signature(Table):
    """How this race's own failure looks, apart from any other.

    ``title`` is searched in a crash's title and alternative titles, ``report`` in the whole text
    of the crash, ``output`` in what the workload said. All that are given must match.
    """

    title: Regex = ""
    report: Regex = ""
    output: Regex = ""


class RacePath(Table):
    """One way to reach a race's bug, or a place that a fix may move the hole to.

    The first of ``workloads`` that runs on a kernel decides the path there; a path of which none
    does is no path of that kernel.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    summary: str
    workloads: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Paths:
    """What a verdict is about: paths by name, each with the workload that decides it.

    ``left_out``: paths of the race on this kernel that the verdict is not about.
    """

    decided: Mapping[str, Workload]
    left_out: tuple[str, ...] = ()


class Cost(Table):
    """An operation that pays for a race's fix, and where it is measured.

    Guest instructions from ``start`` to the next ``stop`` on the one vCPU of ``machine``, while
    ``workload`` repeats the operation. ``counters`` are shown beside it.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    summary: str
    workload: str
    start: Points
    stop: Points
    counters: tuple[str, ...] = ()
    machine: str = "one"


class Race(Table):
    """One race: what to run, what proves it was exercised, what its failure looks like.

    ``config`` is in the kernels of all races, which so are the same ones; ``own_config`` only in
    a kernel that is built for this race: fragments by name, or files beside race.toml. ``demo``:
    whether ``mmrace demo`` runs it. ``hunt``: the workload in which `mmrace hunt` looks for an
    order, one that seldom fails of itself. Where no ``path`` is given, each default workload
    decides one of its own name.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    summary: str
    functions: tuple[str, ...] = ()
    machine: str = "numa2"
    boot: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    own_config: tuple[str, ...] = ()
    signature: tuple[Signature, ...] = Field(min_length=1)
    probe: tuple[Probe, ...] = ()
    workload: tuple[Workload, ...] = Field(min_length=1)
    path: tuple[RacePath, ...] = ()
    window: tuple[Window, ...] = ()
    delays: Delays | None = None
    cost: tuple[Cost, ...] = ()
    demo: bool = False
    hunt: str = ""

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        known = {workload.name for workload in self.workload}
        for path in self.path:
            if missing := [name for name in path.workloads if name not in known]:
                raise ValueError(f"path {path.name}: the race has no workload {missing[0]!r}")
        names = [path.name for path in self.path]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two paths are called {twice!r}")
        if not self.path and not self.default_workloads():
            raise ValueError("no path, and no workload that runs by default")
        return self

    def paths(self, release: str = "", workload: str | None = None) -> Paths:
        """Return the paths of this race on a kernel of this release.

        With ``workload``, only the path that it decides, or one of its own name. UserError when
        there is no such workload, or no path on this release.
        """
        found: dict[str, Workload] = {}
        for path in self.path or self._implied_paths():
            able = [self.find_workload(name) for name in path.workloads]
            if chosen := [item for item in able if item.runs_on(release)]:
                found[path.name] = chosen[0]
        if workload is not None:
            own = self.find_workload(workload)
            name = next((path.name for path in self.path if workload in path.workloads), workload)
            return Paths({name: own}, tuple(path for path in found if path != name))
        if not found:
            raise UserError(f"race {self.name} has no path on Linux {release}; name a --workload")
        return Paths(found)

    def _implied_paths(self) -> tuple[RacePath, ...]:
        return tuple(
            RacePath(name=item.name, summary=item.summary, workloads=(item.name,))
            for item in self.default_workloads()
        )

    @property
    def shared(self) -> bool:
        """Whether it shows on the kernels that races share."""
        return not self.own_config

    def fragments(self, more: Iterable[str] = ()) -> tuple[str, ...]:
        """What a kernel for this race has beside the fragments of all races."""
        return (*self.own_config, *more)

    def windows_for(self, workload: str) -> tuple[Window, ...]:
        """Return the windows that steer this workload."""
        return tuple(item for item in self.window if workload in (item.workloads or (workload,)))

    def default_workloads(self, release: str = "") -> list[Workload]:
        """The workloads that run when none is named, of those that a kernel can run."""
        return [item for item in self.workload if item.default and item.runs_on(release)]

    def hunted_workload(self) -> Workload:
        """Return the workload for a hunt; UserError when the race names one that it has not."""
        return self.find_workload(self.hunt) if self.hunt else self.workload[0]

    def find_workload(self, name: str) -> Workload:
        """Return the workload of that name, or raise UserError with the names there are."""
        for workload in self.workload:
            if workload.name == name:
                return workload
        known = ", ".join(workload.name for workload in self.workload)
        raise UserError(f"race {self.name} has no workload {name!r}; it has: {known}")


def race_names(folders: Iterable[Path] | None = None) -> list[str]:
    """Names of all races, sorted, or of those in some folders."""
    top = race_folders() if folders is None else folders
    return sorted({path.parent.name for folder in top for path in folder.glob("*/race.toml")})


def find_race(name: str) -> Path | None:
    """Directory of a race, None when there is none; UserError when two have that name."""
    found = [folder / name for folder in race_folders() if (folder / name / "race.toml").is_file()]
    if len(found) > 1:
        raise UserError(f"two races {name!r}: {found[0]} and {found[1]}; rename one")
    return found[0] if found else None


def race_dir(name: str) -> Path:
    """Directory of one race; UserError when there is none of that name."""
    folder = find_race(name)
    if folder is None:
        raise UserError(f"no race {name!r}; there are: {', '.join(race_names())}")
    return folder


def load_race(name: str) -> Race:
    """Read one race by name."""
    path = race_dir(name) / "race.toml"
    race = read_toml(path, Race)
    if race.name != name:
        raise UserError(f"{path}: name is {race.name!r}, its directory says {name!r}")
    return race.model_copy(update={"own_config": _beside(path.parent, race.own_config)})


def _beside(folder: Path, configs: Iterable[str]) -> tuple[str, ...]:
    """The same, with files beside race.toml by their whole path."""
    return tuple(
        str((folder / item).absolute()) if (folder / item).is_file() else item for item in configs
    )
