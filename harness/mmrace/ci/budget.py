# SPDX-License-Identifier: GPL-2.0-only
"""Which cell gets the next share of a budget of time: the one that needs least to be decided."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """What one of them still needs.

    ``step`` is the length of its next share and ``total`` of all that it expects to take until it
    is decided, in seconds; ``begun``: it has had one.
    """

    step: float
    total: float
    begun: bool
    done: bool = False


def next_share(needs: Sequence[Need], left: float) -> int | None:
    """Return the next cell; None when all are done or no share fits in ``left`` seconds.

    First each cell gets one share, in order: only then is it known what it needs. Then the cell
    that needs least comes next, which decides the most cells within any time. A cell that can no
    longer be decided waits until the others are done, and uses the time that is left.
    """
    able = [n for n, need in enumerate(needs) if not need.done and need.step <= left]
    if not able:
        return None
    fresh = [n for n in able if not needs[n].begun]
    return fresh[0] if fresh else min(able, key=lambda n: (needs[n].total, n))
