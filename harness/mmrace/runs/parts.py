# SPDX-License-Identifier: GPL-2.0-only
"""What a cell's names are on this machine: files, and who steers."""

from dataclasses import dataclass
from pathlib import Path

from mmrace.guests.accel import Accel
from mmrace.guests.printk import LogBuffer
from mmrace.guests.scheduler import Placed
from mmrace.windows.delay import Delay
from mmrace.windows.director import Director


@dataclass(frozen=True)
class Parts:
    """What a run needs beside its spec.

    ``log``: where the kernel keeps its messages. ``placed``: of a replay, the witness's steps with
    their addresses.
    """

    kernel: Path
    config: Path
    image: Path
    accel: Accel
    director: Director | None = None
    delay: Delay | None = None
    log: LogBuffer | None = None
    placed: tuple[Placed, ...] = ()
