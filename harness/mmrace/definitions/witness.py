# SPDX-License-Identifier: GPL-2.0-only
"""A witness: a small file with the order in which a race shows, in terms of any kernel."""

import json
import textwrap
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mmrace.definitions.point import PointsOrNone
from mmrace.errors import UserError
from mmrace.home import write_file
from mmrace.toml import Table, read_toml

_LIMIT = 5 * 1024  # bytes of a file


class Step(Table):
    """An actor runs until it is at ``point`` for the ``hit``-th time, and is held there.

    An actor is a vCPU. With its first step it becomes the vCPU that gets there first, of all that
    are not held; with later steps it runs alone. It is held until its next step. After the last
    step all vCPUs run.
    """

    actor: str = Field(
        pattern=r"^[A-Za-z]\w*$",
        description=(
            "Name of a vCPU; with its first step it becomes the vCPU that gets there first."
        ),
    )
    point: PointsOrNone = Field(
        default=(), description="Sync point where the actor is held, or alternatives."
    )
    seconds: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="In place of `point`: run for so long, and be held no more.",
    )
    hit: int = Field(default=1, ge=1, description="Which time that the actor reaches `point`.")
    alone: bool = Field(
        default=True,
        description="Whether all other vCPUs stand still while the actor runs to `point`.",
    )
    task: str = Field(
        default="",
        pattern=r"^\w*$",
        description=(
            "Name of a task; the step counts only for the task that made the first step with it."
        ),
    )

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if bool(self.point) == bool(self.seconds):
            raise ValueError("a step has either a point or seconds")
        return self


class Witness(Table):
    """One order, and where it was found.

    The guest's clock runs on during a hold; beyond about 20 s its watchdogs would bite.
    """

    race: str = Field(description="Race whose failure it shows.")
    workload: str = Field(description="Workload of the race.")
    machine: str = Field(description="Machine of `qemu/machines`.")
    seed: int = Field(ge=0, description="Seed of the run.")
    found_on: str = Field(description="Id of the kernel on which it was found.")
    release: str = Field(description="Release of that kernel.")
    note: str = Field(default="", description="Where it comes from.")
    patience: float = Field(
        default=2.0,
        gt=0,
        le=10,
        description=(
            "Seconds from the first hold to the end of the last, after which the order is "
            "infeasible."
        ),
    )
    settle: float = Field(
        default=0.3, gt=0, le=10, description="Seconds for the failure to show once all vCPUs run."
    )
    step: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _begins_with_a_hold(self) -> Self:
        if not self.step[0].point:
            raise ValueError("the first step needs a point: no vCPU is held before it")
        return self


def load_witness(path: Path) -> Witness:
    """Read a witness; UserError names the file and what is wrong with it."""
    if path.is_file() and path.stat().st_size > _LIMIT:
        raise UserError(f"{path}: larger than {_LIMIT} bytes; name a witness")
    return read_toml(path, Witness)


def save_witness(path: Path, witness: Witness) -> None:
    """Write a witness by rename; UserError when it would be too large to be read."""
    text = render(witness)
    if len(text.encode()) > _LIMIT:
        raise UserError(f"{path}: witness of more than {_LIMIT} bytes; use fewer steps")
    write_file(path, text)


def render(witness: Witness) -> str:
    """The witness as TOML."""
    lines = ["# A schedule that shows a race; `mmrace replay` follows it.", ""]
    fields = witness.model_dump(mode="json", exclude={"step"}, exclude_defaults=True)
    lines += [f"{key} = {_value(value)}" for key, value in fields.items()]
    for step in witness.step:
        lines += ["", "[[step]]"]
        fields = step.model_dump(mode="json", exclude_defaults=True)
        if len(step.point) == 1:
            fields["point"] = step.point[0]
        lines += [f"{key} = {_value(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A TOML value: JSON's strings, numbers and arrays are TOML as well."""
    if isinstance(value, list) and len(value) > 1:
        inner = ",\n".join(_value(item) for item in value)
        return "[\n" + textwrap.indent(inner, "    ") + ",\n]"
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")


def witness_place(out: Path | None, name: str) -> Path:
    """Return where a witness goes, known to be possible before the search that is to find it.

    UserError for a directory, a device or a folder that is not there.
    """
    out = out or Path(f"{name}.witness.toml")
    if out.exists() and not out.is_file():
        raise UserError(f"not a file: {out}; --out names the witness to be written")
    if not out.absolute().parent.is_dir():
        raise UserError(f"not a directory: {out.parent}; --out names the witness to be written")
    return out
