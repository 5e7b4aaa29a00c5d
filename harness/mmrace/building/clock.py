# SPDX-License-Identifier: GPL-2.0-only
"""The host's time, by which make decides what is old: whether it can be trusted since a moment."""

import time
from dataclasses import dataclass

COARSE = 2.0  # seconds: clocks of file systems, and what keeps a clock right


@dataclass(frozen=True)
class Clock:
    """The host's time: ``wall``, which people set, and ``up``, seconds since it was started."""

    wall: float
    up: float

    @classmethod
    def now(cls) -> "Clock":
        """The present values of both."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))

    @classmethod
    def read(cls, stored: object) -> "Clock | None":
        """What was stored as a pair; None for anything else."""
        match stored:
            case [float() as wall, float() as up]:
                return cls(wall, up)
        return None

    def follows(self, earlier: "Clock | None") -> bool:
        """Whether both went on by as much since then, on a host that was not started again."""
        if earlier is None or self.up < earlier.up:
            return False
        return abs(self.wall - earlier.wall - (self.up - earlier.up)) <= COARSE
