# SPDX-License-Identifier: GPL-2.0-only
"""A bisection: its steps, the commit or the patches that it found, and what it rests on."""

from collections.abc import Iterator

from mmrace.answers.answer import Answer, Block, Page, Table
from mmrace.bisect.case import Case
from mmrace.bisect.values import Answer as Found
from mmrace.experiments.bisection import Bisected, Needed
from mmrace.experiments.reproducing import Learnt
from mmrace.reports.bisection import document, sections

_NOT_FOUND = 3


def bisection(done: Bisected | Needed | Learnt, race: str | None = None) -> Answer:
    """Return a bisection by a race (None: by a command), as far as it came."""
    if isinstance(done, Learnt):
        content = {"race": race, "found": False, **done.document()}
        return Answer(content, (f"not found: {done.trouble}",), _NOT_FOUND, watched=True)
    return _needed(done, race) if isinstance(done, Needed) else _single(done, race)


def _single(done: Bisected, race: str | None) -> Answer:
    found = done.answer
    log = f"log: {done.log}"
    page = Page(f"bisection by {race}", done.runs, (), sections(done)) if done.runs else None
    code = 0 if found.culprit and found.confirmed else _NOT_FOUND
    content = {"race": race, **document(found), "log": str(done.log)}
    return Answer(content, (*_round(done), log), code, page=page, watched=True)


def _needed(done: Needed, race: str | None) -> Answer:
    numbers = None if done.patches is None else [number + 1 for number in done.patches]
    content = {
        "race": race,
        "enough": numbers,
        "rounds": [document(one.answer) for one in done.rounds],
    }
    rounds = [block for one in done.rounds for block in _round(one)]
    if done.patches is None:
        return Answer(
            content, (*rounds, "not found: a round stayed open"), _NOT_FOUND, watched=True
        )
    needed = [f"needed: {number + 1} {done.subjects[number]}" for number in done.patches]
    total = f"{len(done.patches)} of {len(done.subjects)} patches are enough"
    return Answer(content, (*rounds, *needed, total), watched=True)


def _round(done: Bisected) -> Iterator[Block]:
    case, found = done.case, done.answer
    rows = [
        (
            str(one.phase),
            case.title(one.revision),
            "skipped" if one.skipped else f"{one.failures} of {one.runs}",
            str(one.void or ""),
        )
        for one in found.steps
    ]
    yield Table(("phase", "revision", "failed", "not exercised"), rows)
    yield _phase_text(case, found)
    runs = ", ".join(f"{count} to {phase}" for phase, count in found.runs.items())
    yield f"{sum(found.runs.values())} runs ({runs}), {found.builds} revisions run"


def _phase_text(case: Case, found: Found) -> str:
    if found.culprit:
        how = "confirmed" if found.confirmed else "NOT confirmed"
        odds = found.posterior / max(1 - found.posterior, 1e-9)
        what = "ends the failure" if case.model.fix else "brings the failure"
        return f"{case.title(found.culprit)}: {what}, odds {odds:.3g} to 1, {how}"
    names = ", ".join(f"{case.title(name)} {share:.3f}" for name, share in found.suspects[:5])
    return f"not found; no culprit between the ends: {found.no_culprit:.3f}; likeliest: {names}"
