# SPDX-License-Identifier: GPL-2.0-only
"""A workload as people write it in ``race.toml``: what runs in the guest, and what it proves."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from mmrace.definitions.base import Versions, in_range
from mmrace.toml import Table


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


Regex = Annotated[str, AfterValidator(_regex)]


class Source(StrEnum):
    """Where a workload's program comes from."""

    STRESSOR = "stressor"  # C files beside race.toml
    SELFTEST = "selftest"  # the kernel tree's own tools/testing/selftests
    LTP = "ltp"  # the LTP source that the user names
    REPRODUCER = "reproducer"  # a program that knows nothing of mmrace


class Probe(Table):
    """A kprobe event that the guest counts, as proof that the contested point was reached.

    ``function`` may list alternatives for kernels where the name differs; the first that the
    kernel has is used. With ``returns`` only returns of that value count. With ``every`` all
    copies of the one function in ``file`` are counted, those that the compiler inlined too; they
    are looked up in the kernel's debug information before a run.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=48)
    function: tuple[str, ...] = Field(min_length=1)
    returns: int | None = None
    every: bool = False
    file: str = ""


class Tolerated(Table):
    """What a test fails with on kernels of some versions, whether or not they have the race.

    ``output`` is searched in each failure that the test announces; ``reason`` is for people.
    """

    versions: Versions
    output: Annotated[Regex, Field(min_length=1)]
    reason: str

    def covers(self, release: str) -> bool:
        """Whether a kernel of this release may fail so; not one whose release is unknown."""
        return release[:1].isdecimal() and in_range(release, self.versions)


class FailsBy(StrEnum):
    """What of a reproducer's own end counts as a failure, beside what the kernel reports."""

    EXIT = "exit"  # an exit code other than 0, or a signal
    HANG = "hang"  # it does not come to its end


class Execution(Table):
    """How a reproducer is executed: so many instances at once, as root or as nobody.

    Without ``fails_by`` only the kernel can fail: the program may end as it likes, or never.
    ``given``: how its user named it, for a command that makes such runs.
    """

    procs: int = Field(default=1, ge=1, le=64)
    user: bool = False
    fails_by: tuple[FailsBy, ...] = ()
    given: tuple[str, ...] = ()


class Workload(Table):
    """A program that the guest runs in a loop.

    ``argv[0]`` is the program's name in the image. ``silence``: seconds without progress on the
    result channel that make a HANG. ``exercised`` maps counters to the
    min count below which the run is NOT_EXERCISED. ``sources`` are files beside race.toml, or paths
    in the kernel tree (alternatives for other versions), or an LTP test's directory. ``rare``: may
    hold on a vulnerable kernel when nobody steers. ``iterations``: at most so many a boot, where
    one uses up what the next would need; 0: as many as the time allows. ``tolerated``: failures of
    an LTP test that are not the race's; an iteration with these alone is no failure, and still has
    to be exercised. ``versions``: kernels that it can run on, any by default. ``execution`` is a
    reproducer's; its ``sources`` are C files, one static executable, ``selftest:PATH`` of the
    kernel tree or ``ltp:NAME``.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    summary: str
    source: Source
    argv: tuple[str, ...] = Field(min_length=1)
    sources: tuple[str, ...] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    silence: int = Field(default=60, ge=5)
    exercised: dict[str, int] = Field(default_factory=dict, validate_default=True)
    invariants: tuple[str, ...] = ("hugepages_free", "hugepages_rsvd", "isolated")
    probes: tuple[str, ...] = ()
    default: bool = True
    rare: bool = False
    iterations: int = Field(default=0, ge=0)
    tolerated: tuple[Tolerated, ...] = ()
    versions: Versions = ""
    execution: Execution = Execution()

    @field_validator("exercised")
    @classmethod
    def _proves_something(cls, counts: dict[str, int]) -> dict[str, int]:
        if not counts:
            raise ValueError(
                "no min count, so a run that held would prove nothing; name a counter of the "
                "stressor's, vmstat:NAME or probe:NAME and its least value, or iterations = 1"
            )
        return counts

    def tolerates(self, release: str) -> tuple[Tolerated, ...]:
        """Return the failures that are none on a kernel of this release."""
        return tuple(item for item in self.tolerated if item.covers(release))

    def runs_on(self, release: str) -> bool:
        """Whether kernels of this release can run it; true for one whose release is unknown."""
        return not release[:1].isdecimal() or in_range(release, self.versions)
