# SPDX-License-Identifier: GPL-2.0-only
"""The worst of several results: which outcome and which exit code summarise them."""

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
    """Return the outcome that summarises several runs; None without runs."""
    found = set(outcomes)
    return next((outcome for outcome in _OUTCOMES if outcome in found), None)


def worst_code(codes: Iterable[int]) -> int:
    """Return the exit code that summarises several results; 0 without results."""
    found = set(codes)
    return next((code for code in _CODES if code in found), 0)


def word(error: MmraceError, otherwise: str = NOT_RUN) -> str:
    """Return the word for a table cell whose result an error prevented."""
    return _WORDS.get(error.exit_code, otherwise)
