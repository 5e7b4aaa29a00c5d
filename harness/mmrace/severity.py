# SPDX-License-Identifier: GPL-2.0-only
"""The worst of several results: which outcome and which exit code stand for all of them."""

from collections.abc import Iterable

from mmrace.errors import MmraceError
from mmrace.outcome import Outcome

_OUTCOMES = (
    Outcome.INFRA,
    Outcome.CRASH,
    Outcome.FAIL,
    Outcome.HANG,
    Outcome.INFEASIBLE,
    Outcome.NOT_EXERCISED,
    Outcome.PASS,
)
# Cannot tell, not built, bad input, failed, not certain.
_CODES = (70, 69, 4, 2, 1, 3)
_WORDS = {4: "NOT_BUILT", 69: "INFRA"}
NOT_RUN = "NOT_RUN"


def worst_outcome(outcomes: Iterable[Outcome]) -> Outcome | None:
    """Return the outcome that stands for several runs; None when there are none."""
    found = set(outcomes)
    return next((outcome for outcome in _OUTCOMES if outcome in found), None)


def worst_code(codes: Iterable[int]) -> int:
    """Return the exit code that stands for several results; 0 when all are well, or none is."""
    found = set(codes)
    return next((code for code in _CODES if code in found), 0)


def word(error: MmraceError, otherwise: str = NOT_RUN) -> str:
    """Return the word that stands in a table where an error kept a result from being there."""
    return _WORDS.get(error.exit_code, otherwise)
