# SPDX-License-Identifier: GPL-2.0-only
"""What one run says about the race it was made for."""

from enum import StrEnum

from mmrace.outcome import Judgement, Outcome


class Sight(StrEnum):
    """What one run says about the race."""

    SIGNATURE = "signature"  # the race's own failure
    HELD = "held"  # exercised, and nothing failed
    OTHER = "other"  # ended or went wrong in another way: no chance for the race to show
    VOID = "void"  # no run: the host failed, or a schedule was not carried out


def sight(judgement: Judgement) -> Sight:
    """Sort a run.

    A replay that reached its first point and then held is a run: its caller says PASS for it.
    """
    match judgement.outcome:
        case Outcome.INFRA | Outcome.INFEASIBLE:
            return Sight.VOID
        case Outcome.PASS:
            return Sight.HELD
        case Outcome.CRASH | Outcome.FAIL | Outcome.HANG if judgement.signature_matched:
            return Sight.SIGNATURE
        case _:
            return Sight.OTHER


def kind(judgement: Judgement) -> tuple[Outcome, str]:
    """Return what distinguishes OTHER runs: foreign crashes also by their title."""
    titled = judgement.outcome in (Outcome.CRASH, Outcome.FAIL)
    return judgement.outcome, judgement.title if titled else ""
