# SPDX-License-Identifier: GPL-2.0-only
"""A series patch by patch: whether each prefix applies, builds without new warnings, and holds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mmrace.definitions.base import base_for
from mmrace.errors import BuildError, UserError
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.kernels import Built, find_source


class Reached(StrEnum):
    """The first check that a prefix failed."""

    APPLIES = "does not apply"
    BUILDS = "does not build"
    WARNINGS = "brings new warnings"
    HOLDS = "does not hold"
    SHOWN = "was not shown to hold"


@dataclass(frozen=True)
class Prefix:
    """The first ``number`` patches of a series; ``bad`` is None when they pass all checks."""

    number: int
    patch: str
    outcome: Outcome | None = None
    bad: Reached | None = None
    why: str = ""

    @property
    def state(self) -> str:
        """The state of the prefix in words."""
        if self.bad is None:
            return self.why or "holds"
        return f"{self.bad}: {self.why}" if self.why else str(self.bad)

    @property
    def exit_code(self) -> int:
        """Exit code of a command whose first bad prefix is this one."""
        codes = {None: 0, Reached.APPLIES: 2, Reached.BUILDS: 4, Reached.SHOWN: 3}
        return codes.get(self.bad, 1)


@dataclass(frozen=True)
class Prefixes:
    """The prefixes that were tried, up to the first bad one; the series has ``total`` patches."""

    total: int
    found: tuple[Prefix, ...]

    @property
    def first_bad(self) -> Prefix | None:
        """The first prefix that fails a check, None when there is none."""
        return next((prefix for prefix in self.found if prefix.bad), None)

    def document(self, race: str) -> dict[str, Any]:
        """The JSON document."""
        return {
            "race": race,
            "patches": self.total,
            "each": [
                {
                    "number": prefix.number,
                    "patch": prefix.patch,
                    "outcome": str(prefix.outcome) if prefix.outcome else None,
                    "holds": prefix.bad is None,
                    "bad": str(prefix.bad) if prefix.bad else None,
                    "why": prefix.why,
                }
                for prefix in self.found
            ],
            "first_bad": self.first_bad.number if self.first_bad else None,
        }


def verify_prefixes(
    session: Session,
    tree: str,
    before: Sequence[str],
    after: Sequence[str],
    work: Work,
    seed: int,
) -> Prefixes:
    """Check each prefix of the last series of ``after``; the other series are applied beneath it.

    Raises UserError when the last series has no patch.
    """
    *under, series = after
    base = base_for(find_source(session.home, tree, session.note).version)
    resolved = session.intake.resolve(session.home, [series], base)[0]
    if not resolved.patches:
        raise UserError(f"{series} has no patch; --each walks through the patches of a series")
    below = (*before, *under)
    names = prefix_names(resolved.name, len(resolved.patches))

    def build(number: int) -> Built:
        top = () if number == 0 else (names[number - 1],)
        return session.build(tree, (*below, *top), work.options, work.race)

    def judge(built: Built) -> Judgement:
        planner = session.planner
        return session.run_cell(lambda: work.plan(planner, built, seed)).judgement()

    found: list[Prefix] = []
    for prefix in walk([patch.subject for patch in resolved.patches], build, judge):
        found.append(prefix)
        session.note(f"{prefix.number}/{len(names)} {prefix.patch}: {prefix.state}")
    return Prefixes(len(names), tuple(found))


def prefix_names(series: str, count: int) -> list[str]:
    """Names that resolve to the prefixes of a series."""
    numbers = [str(number) for number in range(1, count + 1)]
    return [f"{series}[{','.join(numbers[:number])}]" for number in range(1, count + 1)]


def walk(
    patches: Sequence[str],
    build: Callable[[int], Built],
    judge: Callable[[Built], Judgement],
) -> Iterator[Prefix]:
    """Check each prefix in order; end at the first bad one.

    ``build(0)`` builds the kernel without any patch of the series. If that kernel shows the race's
    own failure, prefixes may show it too until one of them holds, except for the whole series; any
    other failure makes a prefix bad.
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
            yield Prefix(number, patch, bad=Reached.BUILDS, why=error.message)
            return
        except UserError as error:
            yield Prefix(number, patch, bad=Reached.APPLIES, why=error.message)
            return
        touched |= {file for file, _ in built.applied.touched}
        fresh = [text for text in built.kernel.warnings if _is_new(text, seen, touched)]
        seen |= set(built.kernel.warnings)
        if fresh:
            yield Prefix(number, patch, bad=Reached.WARNINGS, why="; ".join(fresh[:3]))
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
    """Whether a warning is new and in a file that the series changes.

    Other files may not have been compiled before. A warning in a header counts only if the series
    changes the header.
    """
    return text not in seen and text.partition(": ")[0] in touched


def _verdict(judged: Judgement, *, may_fail: bool) -> Reached | None:
    if judged.outcome.failed:
        return None if may_fail and _own(judged) else Reached.HOLDS
    return None if judged.outcome is Outcome.PASS else Reached.SHOWN


def _why(judged: Judgement, found: Reached | None) -> str:
    if found:
        return f"{judged.outcome} {judged.title}".rstrip()
    return "fails as before the series" if judged.outcome.failed else ""
