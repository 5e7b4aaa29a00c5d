# SPDX-License-Identifier: GPL-2.0-only
"""An attack as tables and as a part of the HTML report."""

from collections.abc import Iterator

from markupsafe import Markup

from mmrace.experiments.attacked import Attacked
from mmrace.reports.report import Section
from mmrace.reports.story import facts, story
from mmrace.searching.explanation import columns
from mmrace.verdicts.verdict import Arm

Row = tuple[str, str]


def rows(done: Attacked, witness: str) -> list[Row]:
    """What was tried, and what came of it; ``witness``: where that was written."""
    return [*_tried(done), *_found(done, witness)]


def _tried(done: Attacked) -> Iterator[Row]:
    for name, one in done.tried.items():
        rate = one.schedules / one.armed if one.armed else 0.0
        yield (
            f"schedules, {name}",
            f"{one.schedules} in {one.boots} boots, {rate:.0f}/s; {len(one.coverage.pairs)} pairs"
            f" of accesses, {one.coverage.unseen:.1%} of the last boot's schedules showed new ones;"
            f" a bug of their depth missed with p <= {done.missed[name]:.3g}",
        )
    for name, hits in done.steered.items():
        yield f"window {name}", f"{hits} hits"
    for missing in done.not_run:
        yield f"not run, {missing.workload}", missing.why
    yield "boots of the kernel before", str(sum(one.arm is Arm.BEFORE for one in done.attempts))


def _found(done: Attacked, witness: str) -> Iterator[Row]:
    if done.failure:
        how = f"{done.failure.workload}, {done.failure.way}"
        yield "failed with the race's signature", f"{done.failure.title} ({how})"
    if done.finding:
        proof = done.finding.proof
        name = f"witness {witness}" if proof.holds else f"{witness}, not proven"
        yield name, f"{proof.shown} of {len(proof.replays)} replays failed"
    for title in done.regressions:
        yield "only the kernel after failed with", title


def details(done: Attacked) -> tuple[str, ...]:
    """The end in one line, and the order of a failure in two columns."""
    story = columns(done.finding.story) if done.finding else ()
    return (done.line, *story)


def sections(done: Attacked) -> list[Section]:
    """Return what an attack tried and found."""
    line = Markup("<p>{}</p>").format(done.line)
    steps = story(done.finding.story if done.finding else ())
    return [Section("Attack", str(line + facts(rows(done, "witness")) + steps))]
