# SPDX-License-Identifier: GPL-2.0-only
"""Whether a run that goes on has its proof of exercise; pure."""

from collections.abc import Mapping

from mmrace.definitions.reproducer import EXECUTIONS
from mmrace.judging.channel import Reader, Result

ENOUGH = b"enough\n"  # PID 1 waits for this word (qemu/guest/channel.h)


class Exercise:
    """Follows the result channel of a run and says once when all min counts are reached.

    PID 1 keeps the time, in the guest's clock: it ends the run when it has both this word and the
    least time, and without the word at the most time.
    """

    def __init__(self, min_counts: Mapping[str, int]) -> None:
        """``min_counts`` maps names of counters to the least that proves exercise."""
        self._min_counts = min_counts
        self._reader = Reader(keep_output=False)
        self._told = False

    def line(self, text: str) -> bytes | None:
        """Read a whole line; returns the word for the guest when it is due, once."""
        self._reader.line(text, 0)
        if self._told or self._reader.started is None or self.missing():
            return None
        self._told = True
        return ENOUGH

    def missing(self) -> dict[str, int]:
        """Return the counters below their min counts, with how much is missing."""
        short = {name: least - self._count(name) for name, least in self._min_counts.items()}
        return {name: count for name, count in short.items() if count > 0}

    def _count(self, name: str) -> int:
        if name != EXECUTIONS:
            return self._reader.counters.get(name)
        # One that never returns is cut off at the end of the run, and counts then.
        ended = sum(item.result is not Result.SKIP for item in self._reader.iterations)
        return ended + self._reader.cut + 1
