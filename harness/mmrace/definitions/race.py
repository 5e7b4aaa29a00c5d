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
    Source,
    Tolerated,
    Workload,
)
from mmrace.errors import UserError
from mmrace.toml import Regex, Table, read_toml

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
    """What identifies the race's own failure. All patterns that are given must match."""

    title: Regex = Field(
        default="",
        description="Regular expression, searched in a crash's title and alternative titles.",
    )
    report: Regex = Field(
        default="", description="The same, searched in the whole text of the crash."
    )
    output: Regex = Field(
        default="", description="The same, searched in what the workload printed."
    )


class RacePath(Table):
    """One way to reach a race's bug, or a place that a fix may move the hole to.

    A path without a workload that runs on a kernel is left out there.
    """

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]*$", description="Name of the path, as a verdict gives it."
    )
    summary: str = Field(description="What the path is, in half a line.")
    workloads: tuple[str, ...] = Field(
        min_length=1, description="The first of these that runs on a kernel decides the path there."
    )


@dataclass(frozen=True)
class Paths:
    """What a verdict is about: paths by name, each with the workload that decides it.

    ``left_out``: paths of the race on this kernel that the verdict is not about.
    """

    decided: Mapping[str, Workload]
    left_out: tuple[str, ...] = ()


class Cost(Table):
    """An operation that pays for a race's fix, and where it is measured.

    `mmrace cost` counts guest instructions from ``start`` to the next ``stop`` on one vCPU.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Name of the operation.")
    summary: str = Field(description="What the operation is.")
    workload: str = Field(description="Workload that repeats it.")
    start: Points = Field(description="Sync point where counting begins, or alternatives.")
    stop: Points = Field(description="Sync point where counting ends, or alternatives.")
    counters: tuple[str, ...] = Field(default=(), description="Counters that are shown beside it.")
    machine: str = Field(default="one", description="Machine with one vCPU.")


class Race(Table):
    """One race: what to run, what proves that it was exercised, what its failure looks like.

    Without a ``path``, each default workload decides a path of its own name.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Also the directory's name.")
    title: str = Field(description="The bug in one line.")
    summary: str = Field(description="The bug in a paragraph: who does what, and what goes wrong.")
    functions: tuple[str, ...] = Field(
        default=(),
        description="Functions of the bug; a series that changes one is about this race.",
    )
    machine: str = Field(default="numa2", description="Machine of `qemu/machines`.")
    boot: tuple[str, ...] = Field(default=(), description="Kernel parameters beside the machine's.")
    config: tuple[str, ...] = Field(
        default=(), description="Fragments in the kernel that all races share."
    )
    own_config: tuple[str, ...] = Field(
        default=(),
        description="Fragments, or files beside race.toml, in a kernel of this race alone.",
    )
    signature: tuple[Signature, ...] = Field(min_length=1)
    probe: tuple[Probe, ...] = ()
    workload: tuple[Workload, ...] = Field(min_length=1)
    path: tuple[RacePath, ...] = ()
    window: tuple[Window, ...] = ()
    delays: Delays | None = None
    cost: tuple[Cost, ...] = ()
    demo: bool = Field(default=False, description="Whether `mmrace demo` runs it.")
    hunt: str = Field(
        default="",
        description="Workload in which `mmrace hunt` searches: one that seldom fails by itself.",
    )

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
        """Whether the race needs no kernel configuration of its own."""
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

    def hunted_workload(self, name: str | None = None) -> Workload:
        """Return the workload for a hunt, or that of a name; UserError when the race does not have
        it.
        """
        named = name or self.hunt
        return self.find_workload(named) if named else self.workload[0]

    def find_workload(self, name: str) -> Workload:
        """Return the workload of that name, or raise UserError with the names there are."""
        for workload in self.workload:
            if workload.name == name:
                return workload
        known = ", ".join(workload.name for workload in self.workload)
        raise UserError(f"race {self.name} has no workload named {name!r}; it has: {known}")


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
        raise UserError(f"no race named {name!r}; known: {', '.join(race_names())}")
    return folder


def load_race(name: str) -> Race:
    """Read one race by name."""
    path = race_dir(name) / "race.toml"
    race = read_toml(path, Race)
    if race.name != name:
        raise UserError(
            f"{path}: name is {race.name!r}; rename the directory {name!r} or change the name"
        )
    return race.model_copy(update={"own_config": _beside(path.parent, race.own_config)})


def _beside(folder: Path, configs: Iterable[str]) -> tuple[str, ...]:
    """The same, with files beside race.toml by their whole path."""
    return tuple(
        str((folder / item).absolute()) if (folder / item).is_file() else item for item in configs
    )
