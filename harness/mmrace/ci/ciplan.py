# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job as people write it in ``mmrace-ci.toml``, and the cells that it asks for."""

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from mmrace.data import data_dir
from mmrace.definitions.base import base_for
from mmrace.definitions.race import FailsBy, Race, Workload, load_race, race_names
from mmrace.errors import UserError
from mmrace.runs.options import RunOptions
from mmrace.toml import Table, read_toml

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: object) -> object:
    """Read 90, "90s", "2m" or "1h"."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value)
    if not found:
        raise ValueError(f"{value!r} is no duration; write 90, '90s', '2m' or '1h'")
    return float(found[1]) * _UNITS[found[2]]


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class Check(Table):
    """Races on trees.

    With ``before`` and ``after`` the question is whether the series ``after`` fixes the race, as
    `mmrace verify` asks it; without them, whether the tree with ``series`` holds.
    """

    tree: Words = Field(min_length=1, description="One or more trees, as `--tree` takes them.")
    races: Words = Field(
        default=(), description="Races; by default those of the tree's base that share kernels."
    )
    repro: Words = Field(
        default=(), description="Reproducer in place of races, as `--repro` takes it."
    )
    crash: str | None = Field(default=None, description="The reproducer's failure, as `--crash`.")
    procs: int = Field(default=1, ge=1, le=64, description="Instances of the reproducer.")
    user: bool = Field(default=False, description="Run the reproducer as nobody.")
    fails_by: tuple[FailsBy, ...] = Field(
        default=(), description="Ends of the reproducer that count as failures."
    )
    workloads: Words = Field(default=(), description="Workloads; by default those of all paths.")
    before: Words | None = Field(
        default=None, description="Series of the kernel before; `none` is the tree as it is."
    )
    after: Words | None = Field(default=None, description="Series on top of `before`.")
    series: Words = Field(default=(), description="Series of the kernel that has to hold.")
    runs: int = Field(default=1, ge=1, le=10_000, description="Runs that have to hold.")
    pairs: int = Field(default=200, ge=1, le=10_000, description="Most pairs for a verdict.")
    attack: bool = Field(
        default=True, description="Whether a kernel that the pairs call FIXED is attacked."
    )
    attack_for: Seconds = Field(
        default=600.0, description='Time of the attack (wall time): 90, "90s", "2m" or "1h".'
    )
    seconds: Seconds = Field(
        default=30.0,
        description='Least guest time in the race phase of a run: 90, "90s", "2m" or "1h".',
    )
    at_most: Seconds | None = Field(
        default=None, description="Most guest time of a run; four times `seconds` by default."
    )
    steer: bool | None = Field(
        default=None, description="Whether to steer; by default where windows exist."
    )
    machine: str | None = Field(default=None, description="Machine in place of the race's.")
    accel: str = Field(default="auto", pattern="^(auto|kvm|tcg)$", description="QEMU accelerator.")
    boot: Words = Field(default=(), description="Kernel parameters to add.")
    configs: Words = Field(default=(), description="Fragments to add, as `--config`.")

    def options(self, ltp: str | None) -> RunOptions:
        """Return what it chooses for runs."""
        return RunOptions(
            seconds=self.seconds,
            at_most=self.at_most,
            machine=self.machine,
            accel=self.accel,
            boot=self.boot,
            steer=self.steer,
            ltp=ltp,
            configs=self.configs,
        )

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.before is None) != (self.after is None):
            raise ValueError("before and after go together")
        if self.before is not None and self.series:
            raise ValueError("series is for a check without before and after")
        return self


class Job(Table):
    """An unattended job."""

    title: str = Field(default="mmrace", description="Title of the reports.")
    budget: Seconds = Field(
        description='Wall time for everything, building included: 90, "90s", "40m" or "2h".'
    )
    alpha: float = Field(
        default=0.001, gt=0, lt=1, description="Probability of a wrong FIXED, in each verdict."
    )
    ltp: str | None = Field(default=None, description="Name of an LTP tree.")
    check: tuple[Check, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Cell:
    """One race on one tree. ``before`` is None when only ``series`` has to hold.

    ``workload``: None, of a verdict only, decides all paths of the race.
    """

    check: Check
    tree: str
    race: Race
    workload: Workload | None
    before: tuple[str, ...] | None
    series: tuple[str, ...]  # of the kernel that has to hold

    @property
    def name(self) -> str:
        """Cell as people read it, the same in every run of the job."""
        held = " + ".join(self.series) or "as it is"
        what = f"{self.race.name}/{self.workload.name}" if self.workload else self.race.name
        if self.before is None:
            return f"{what} on {self.tree}, {held}"
        before = " + ".join(self.before) or "as it is"
        return f"{what} on {self.tree}, {before} -> {held}"


def read_job(path: Path) -> Job:
    """Read the file; UserError names the key that is wrong."""
    return read_toml(path, Job)


def cells_of(check: Check, tree: str, version: str, repro: Race | None = None) -> tuple[Cell, ...]:
    """Return a check's cells on one tree of a kernel version; ``repro``: its program's race.

    Raises UserError for a race or workload that is not there.
    """
    named = check.races or (() if repro else _covered(version))
    races = [*map(load_race, named), *([repro] if repro else [])]
    if not races:
        raise UserError(f"no base covers linux {version}; name races in the [[check]]")
    before = None if check.before is None else _series(check.before)
    after = (*(before or ()), *_series(check.after or check.series))
    return tuple(
        Cell(check, tree, race, workload, before, after)
        for race in races
        for workload in _workloads(check, race, version)
    )


def cache_key(path: Path, tools: Sequence[str]) -> str:
    """Key under which a CI service may keep the home's cache for this job.

    Another job, compiler, config or patch gives another one. It needs no kernel and no tree.
    """
    digest = hashlib.sha256()
    files = [file for kind in ("configs", "patches") for file in data_dir(kind).rglob("*")]
    files += data_dir("races").rglob("*.patch")
    for file in [path, *sorted(file for file in files if file.is_file())]:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    digest.update("\0".join(tools).encode())
    return f"mmrace-{digest.hexdigest()[:16]}"


def trees(job: Job) -> tuple[str, ...]:
    """Trees of all checks, each once."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(c.tree for c in job.check)))


def _series(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name != "none")


def _covered(version: str) -> list[str]:
    base = base_for(version)
    return [name for name in race_names() if base.covers(name) and load_race(name).shared]


def _workloads(check: Check, race: Race, version: str) -> Sequence[Workload | None]:
    if check.workloads:
        return [race.find_workload(name) for name in check.workloads]
    if check.before is not None:
        return [None]
    return list(race.paths(version).decided.values())
