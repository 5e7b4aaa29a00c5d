# SPDX-License-Identifier: GPL-2.0-only
"""The files that a cell names, and what steers its run, on this host."""

from dataclasses import dataclass
from pathlib import Path

from mmrace.guests.accel import Accel
from mmrace.guests.printk import LogBuffer
from mmrace.guests.scheduler import Placed
from mmrace.windows.delay import Delay
from mmrace.windows.director import Director


@dataclass(frozen=True)
class Parts:
    """What a run needs besides its spec.

    ``log``: addresses of the kernel's message buffer. ``placed``: the steps of a replay's witness,
    with addresses.
    """

    kernel: Path
    config: Path
    image: Path
    accel: Accel
    director: Director | None = None
    delay: Delay | None = None
    log: LogBuffer | None = None
    placed: tuple[Placed, ...] = ()
