# SPDX-License-Identifier: GPL-2.0-only
"""A series patch by patch: does every prefix of it apply, build without new warnings, and hold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mmrace.errors import BuildError, UserError
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.campaign import Built


class Step(StrEnum):
    """How far a prefix came."""

    APPLIES = "does not apply"
    BUILDS = "does not build"
    WARNINGS = "brings new warnings"
    HOLDS = "does not hold"
    SHOWN = "was not shown to hold"


@dataclass(frozen=True)
class Prefix:
    """The first ``number`` patches; ``bad`` is None when all is well with them."""

    number: int
    patch: str
    outcome: Outcome | None = None
    bad: Step | None = None
    why: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code of a command whose first bad prefix this is."""
        codes = {None: 0, Step.APPLIES: 2, Step.BUILDS: 4, Step.SHOWN: 3}
        return codes.get(self.bad, 1)


def prefix_names(series: str, count: int) -> list[str]:
    """Names under which the prefixes of a series can be resolved."""
    numbers = [str(number) for number in range(1, count + 1)]
    return [f"{series}[{','.join(numbers[:number])}]" for number in range(1, count + 1)]


def walk(
    patches: Sequence[str],
    build: Callable[[int], Built],
    judge: Callable[[Built], Judgement],
) -> Iterator[Prefix]:
    """Try each prefix, ``build(0)`` first: what is beneath the series; end at the first bad one.

    Where the tree beneath fails in the race's own way, only the whole series is asked to hold: a
    prefix may still fail so, until one has held, but in no other way.
    """
    below = build(0)
    open_failure = _own(judge(below))
    seen = set(below.kernel.warnings)
    touched: set[str] = set()
    for number, patch in enumerate(patches, 1):
        last = number == len(patches)
        try:
            built = build(number)
        except BuildError as error:
            yield Prefix(number, patch, bad=Step.BUILDS, why=error.message)
            return
        except UserError as error:
            yield Prefix(number, patch, bad=Step.APPLIES, why=error.message)
            return
        touched |= {file for file, _ in built.applied.touched}
        fresh = [text for text in built.kernel.warnings if _is_new(text, seen, touched)]
        seen |= set(built.kernel.warnings)
        if fresh:
            yield Prefix(number, patch, bad=Step.WARNINGS, why="; ".join(fresh[:3]))
            return
        judged = judge(built)
        found = _verdict(judged, may_fail=open_failure and not last)
        yield Prefix(number, patch, judged.outcome, found, _why(judged, found))
        if found:
            return
        open_failure = open_failure and judged.outcome is not Outcome.PASS


def _own(judged: Judgement) -> bool:
    return judged.outcome.failed and judged.signature_matched


def _is_new(text: str, seen: set[str], touched: set[str]) -> bool:
    """A warning that was not there, about a file of the series: others may not have been compiled.

    A header's warning counts when the header is the series' own.
    """
    return text not in seen and text.partition(": ")[0] in touched


def _verdict(judged: Judgement, *, may_fail: bool) -> Step | None:
    if judged.outcome.failed:
        return None if may_fail and _own(judged) else Step.HOLDS
    return None if judged.outcome is Outcome.PASS else Step.SHOWN


def _why(judged: Judgement, found: Step | None) -> str:
    if found:
        return f"{judged.outcome} {judged.title}".rstrip()
    return "fails as before the series" if judged.outcome.failed else ""
