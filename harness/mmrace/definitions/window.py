# SPDX-License-Identifier: GPL-2.0-only
"""Windows as people write them in race.toml: who is held where, until another is where."""

from pydantic import Field

from mmrace.definitions.point import Points
from mmrace.toml import Table


class Window(Table):
    """Hold the vCPU that reaches ``hold`` until another vCPU reaches ``until``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="Name of the window.")
    hold: Points = Field(
        description="Sync point where a vCPU is held, or alternatives for other kernels."
    )
    until: Points = Field(
        description="Sync point of another vCPU that ends the hold, or alternatives."
    )
    timeout: float = Field(default=5.0, gt=0, le=10_000, description="Longest hold (milliseconds).")
    probability: float = Field(
        default=1.0, gt=0, le=1, description="Chance that a vCPU that reaches `hold` is held."
    )
    workloads: tuple[str, ...] = Field(
        default=(), description="Workloads that it steers; all of the race's by default."
    )


class Delays(Table):
    """Stall a vCPU that reaches one of ``points`` at random, for 10 us to 100 ms.

    The chance is the same for each factor of ten.
    """

    points: tuple[Points, ...] = Field(
        min_length=1, description="Sync points, each with its alternatives."
    )
    probability: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Chance of a stall in the first passes of a place; later ones are rarer.",
    )
    share: float = Field(
        default=0.2,
        gt=0,
        le=0.2,
        description="Largest part of the race phase for which a vCPU is stalled.",
    )
    optional: bool = Field(
        default=False, description="Leave out points that a kernel does not have."
    )
