# SPDX-License-Identifier: GPL-2.0-only
"""Windows as people write them in race.toml: who is held where, until another is where."""

from pydantic import Field

from mmrace.definitions.point import Points
from mmrace.toml import Table


class Window(Table):
    """Hold the vCPU that reaches ``hold`` until another vCPU reaches ``until``.

    Each is a point or a list of alternatives for different kernels (``mmrace.definitions.point``).
    ``timeout`` in milliseconds ends a hold that nobody meets; ``probability`` is that of holding
    at all. ``workloads`` limits the window to these; empty: all of the race's.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    hold: Points
    until: Points
    timeout: float = Field(default=5.0, gt=0, le=10_000)
    probability: float = Field(default=1.0, gt=0, le=1)
    workloads: tuple[str, ...] = ()


class Delays(Table):
    """Stall whoever reaches one of ``points``, for 10 us to 100 ms, at random.

    The chance is the same for each factor of ten. ``probability`` is that of the first passes of
    a place; later ones are stalled less often, so that rare places get their share. ``share`` is
    the largest part of the race phase for which a vCPU is stalled this way. ``optional``: points
    that a kernel does not have are left out.
    """

    points: tuple[Points, ...] = Field(min_length=1)
    probability: float = Field(default=0.1, gt=0, le=1)
    share: float = Field(default=0.2, gt=0, le=0.2)
    optional: bool = False
