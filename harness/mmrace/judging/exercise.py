# SPDX-License-Identifier: GPL-2.0-only
"""Whether a run has reached its min counts while it is still running; pure."""

from collections.abc import Mapping

from mmrace.definitions.reproducer import EXECUTIONS
from mmrace.judging.channel import Reader, Result

ENOUGH = b"enough\n"  # sent to PID 1, which waits for it (qemu/guest/channel.h)


class Exercise:
    """Follows the result channel of a run and reports once when all min counts are reached.

    PID 1 measures time on the guest's clock: it ends the run after the least time if it was sent
    ENOUGH, otherwise after the most time.
    """

    def __init__(self, min_counts: Mapping[str, int]) -> None:
        """``min_counts`` maps names of counters to their minimum."""
        self._min_counts = min_counts
        self._reader = Reader(keep_output=False)
        self._sent = False

    def line(self, text: str) -> bytes | None:
        """Take a whole line; return ENOUGH once, when all min counts are reached, else None."""
        self._reader.line(text, 0)
        if self._sent or self._reader.started is None or self.missing():
            return None
        self._sent = True
        return ENOUGH

    def missing(self) -> dict[str, int]:
        """Return the counters below their min counts, with the number that is missing."""
        short = {name: least - self._count(name) for name, least in self._min_counts.items()}
        return {name: count for name, count in short.items() if count > 0}

    def _count(self, name: str) -> int:
        if name != EXECUTIONS:
            return self._reader.counters.get(name)
        # An execution that never returns is cut off at the end of the run, and is counted then.
        ended = sum(item.result is not Result.SKIP for item in self._reader.iterations)
        return ended + self._reader.cut + 1
