# SPDX-License-Identifier: GPL-2.0-only
"""A workload as people write it in ``race.toml``: what runs in the guest, and what it proves."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from mmrace.definitions.base import Versions, in_range
from mmrace.toml import Regex, Table


class Source(StrEnum):
    """Where a workload's program comes from."""

    STRESSOR = "stressor"  # C files beside race.toml
    SELFTEST = "selftest"  # the kernel tree's own tools/testing/selftests
    LTP = "ltp"  # the LTP source that the user names
    REPRODUCER = "reproducer"  # a program that knows nothing of mmrace


class Probe(Table):
    """A kprobe event that the guest counts, as proof that the contested point was reached.

    The copies of ``every`` are looked up in the kernel's debug information before a run.
    """

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=48,
        description="Name of the counter, `probe:NAME`.",
    )
    function: tuple[str, ...] = Field(
        min_length=1,
        description=(
            "Kernel function, or alternatives for other versions; the first that the kernel has is "
            "used."
        ),
    )
    returns: int | None = Field(default=None, description="Count only returns of this value.")
    every: bool = Field(
        default=False, description="Count all copies of the function in `file`, inlined ones too."
    )
    file: str = Field(default="", description="Source file of the function, for `every`.")


class Tolerated(Table):
    """A failure that an LTP test shows on kernels of some versions, with the race or without it.

    An iteration with these failures alone has not failed; it still has to be exercised.
    """

    versions: Versions = Field(description="Kernel versions that fail so, such as `<5.11`.")
    output: Annotated[Regex, Field(min_length=1)] = Field(
        description="Regular expression, searched in each failure that the test prints."
    )
    reason: str = Field(description="Why, for people.")

    def covers(self, release: str) -> bool:
        """Whether a kernel of this release may fail so; not one whose release is unknown."""
        return release[:1].isdecimal() and in_range(release, self.versions)


class FailsBy(StrEnum):
    """What of a reproducer's own end counts as a failure, beside what the kernel reports."""

    EXIT = "exit"  # an exit code other than 0, or a signal
    HANG = "hang"  # it does not come to its end


class Execution(Table):
    """How a reproducer is executed. Its end, or that it has none, is no failure by default."""

    procs: int = Field(default=1, ge=1, le=64, description="Instances at once.")
    user: bool = Field(default=False, description="Run as nobody, not as root.")
    fails_by: tuple[FailsBy, ...] = Field(
        default=(),
        description=(
            "Ends of the program that count as failures; without it only the kernel can fail."
        ),
    )
    given: tuple[str, ...] = Field(
        default=(),
        description="The words that named the program, for a command that repeats such runs.",
    )


class Workload(Table):
    """A program that the guest runs in a loop."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Name of the workload.")
    summary: str = Field(description="What it does, in one line.")
    source: Source = Field(description="Where the program comes from.")
    argv: tuple[str, ...] = Field(
        min_length=1, description="Arguments; the first is the program's name in the guest."
    )
    sources: tuple[str, ...] = Field(
        min_length=1,
        description=(
            "C files beside race.toml; paths in the kernel tree, as alternatives for other "
            "versions; an LTP test's directory; or what `--repro` takes."
        ),
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "Environment variables, such as `STRESSOR_REST`, the longest rest of a stressor's "
            "parties between rounds (milliseconds)."
        ),
    )
    silence: int = Field(
        default=60,
        ge=5,
        description="Seconds without progress on the result channel that make a HANG.",
    )
    min_counts: dict[str, int] = Field(
        default_factory=dict,
        validate_default=True,
        description="Counters, and the value below which a run is NOT_EXERCISED. `exercised` is "
        "an older name of the key.",
    )
    invariants: tuple[str, ...] = Field(
        default=("hugepages_free", "hugepages_rsvd", "isolated"),
        description="Counters that must have the same value before and after.",
    )
    probes: tuple[str, ...] = Field(
        default=(), description="`[[probe]]` entries that this workload counts."
    )
    default: bool = Field(default=True, description="Whether it runs when no workload is named.")
    rare: bool = Field(
        default=False,
        description="Whether it may hold on a vulnerable kernel when it is not steered.",
    )
    iterations: int = Field(
        default=0, ge=0, description="Most iterations in one boot; 0: as many as the time allows."
    )
    tolerated: tuple[Tolerated, ...] = ()
    versions: Versions = Field(
        default="", description="Kernel versions that can run it, such as `>=6.1`; any by default."
    )
    execution: Execution = Execution()

    @model_validator(mode="before")
    @classmethod
    def _of_first_version(cls, fields: Any) -> Any:
        """Read what races and runs of the first version call min counts."""
        if not isinstance(fields, dict) or "exercised" not in fields:
            return fields
        if "min_counts" in fields:
            raise ValueError("min_counts is given twice; drop exercised, its older name")
        return {"min_counts" if key == "exercised" else key: fields[key] for key in fields}

    @field_validator("min_counts")
    @classmethod
    def _proves_something(cls, counts: dict[str, int]) -> dict[str, int]:
        if not counts:
            raise ValueError(
                "no min count, so a run that held would prove nothing; name a counter of the "
                "stressor's, vmstat:NAME or probe:NAME and its least value, or iterations = 1"
            )
        return counts

    @property
    def announces_race(self) -> bool:
        """Whether the workload itself says when its set-up is over and its race phase begins.

        The race phase of any other workload begins with the program, whatever that prints.
        """
        return self.source is Source.STRESSOR

    def tolerates(self, release: str) -> tuple[Tolerated, ...]:
        """Return the failures that do not count on a kernel of this release."""
        return tuple(item for item in self.tolerated if item.covers(release))

    def runs_on(self, release: str) -> bool:
        """Whether kernels of this release can run it; true for one whose release is unknown."""
        return not release[:1].isdecimal() or in_range(release, self.versions)
