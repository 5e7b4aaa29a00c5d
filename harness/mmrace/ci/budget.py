# SPDX-License-Identifier: GPL-2.0-only
"""Who gets the next share of a time that several share: whoever needs least to be decided."""

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
    """Return who is next, None when all are done or nobody's share fits in ``left`` seconds.

    First everybody gets one share, in order: only then is it known what they need. Then the one
    that needs least: of all orders this one decides the most of them within any time. One that
    cannot be decided any more waits until those that can are done, and takes what is left.
    """
    able = [n for n, need in enumerate(needs) if not need.done and need.step <= left]
    if not able:
        return None
    fresh = [n for n in able if not needs[n].begun]
    return fresh[0] if fresh else min(able, key=lambda n: (needs[n].total, n))
