# SPDX-License-Identifier: GPL-2.0-only
"""How long a guest was silent while it had a CPU: a busy host makes no guest hang."""

import time
from collections.abc import Callable

from mmrace.guard import waited_below

_INTERVAL = 0.9  # seconds between two looks


class Patience:
    """Seconds of silence of a process and all below it, less what they waited for a CPU.

    ``waited`` returns the seconds that each thread has waited since its start.
    """

    def __init__(
        self,
        pid: int = 0,
        waited: Callable[[int], dict[int, float]] = waited_below,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.silence = 0.0
        self._pid, self._waited, self._clock = pid, waited, clock
        self._last = clock()
        self._before = waited(pid) if pid else {}

    def note_output(self) -> None:
        """Note that it printed something: silence begins now, not at the last look."""
        self.silence = 0.0
        self._last = self._clock()

    def look(self) -> None:
        """Count the time since the last look, unless that was just now."""
        now = self._clock()
        passed = now - self._last
        if not self._pid or passed < _INTERVAL:
            return
        after = self._waited(self._pid)
        # The longest wait of one thread: the vCPUs of a guest that boots wait for each other.
        waits = [spent - self._before.get(thread, spent) for thread, spent in after.items()]
        self.silence += max(0.0, passed - max(waits, default=0.0))
        self._last, self._before = now, after
