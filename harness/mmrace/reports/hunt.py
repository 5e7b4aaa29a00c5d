# SPDX-License-Identifier: GPL-2.0-only
"""A hunt as a table and as a part of the HTML report."""

from collections.abc import Iterator

from markupsafe import Markup

from mmrace.experiments.hunt import Hunted, summarise
from mmrace.hunting.proof import CONTROLS
from mmrace.reports.report import Section
from mmrace.reports.story import facts, story

Row = tuple[str, str]


def rows(done: Hunted, witness: str) -> list[Row]:
    """What was tried, and what came of it; ``witness``: where that was written."""
    return [*_tried(done), *_found(done, witness)]


def _tried(done: Hunted) -> Iterator[Row]:
    tried = done.tried
    rate = tried.schedules / tried.armed if tried.armed else 0.0
    held = tried.held / tried.armed if tried.armed else 0.0
    yield "schedules", f"{tried.schedules} in {tried.boots} boots, {rate:.0f}/s, held {held:.0%}"
    yield "holds that another vCPU met or ended", f"{tried.met + tried.switched} of {tried.holds}"
    yield (
        "interleaving coverage",
        f"{len(tried.coverage.pairs)} pairs of accesses; of the last boot's schedules"
        f" {tried.coverage.unseen:.1%} showed new ones",
    )
    yield "failed with the race's signature", f"{tried.failures}, of these not proven {done.lost}"
    if done.first is not None:
        yield "race phases until the first failure", f"{done.first:.1f} s"
    yield "failed otherwise", ", ".join(f"{n} x {t}" for t, n in tried.foreign.items()) or "0"
    yield (
        f"a bug of depth {done.tactics.depth} within {done.tactics.length} first visits",
        f"p >= {done.bound:.2g} to be found by one of {tried.priorities} schedules by"
        f" priorities, <= {done.missed:.3g} to be missed",
    )
    yield "seconds", f"{done.seconds:.0f}"


def _found(done: Hunted, witness: str) -> Iterator[Row]:
    proof = done.proof
    if done.control is not None:
        yield "guests that failed without any order", f"{done.control} of {CONTROLS}"
    if done.finding:
        again = sum(item.failed for item in proof.replays)
        name = f"witness {witness}" if proof.holds else f"{witness}, not proven"
        yield name, f"{again} of {len(proof.replays)} replays failed"
        if proof.unheld is not None:
            yield "as many guests without the schedule", f"{proof.unheld} failed"


def sections(done: Hunted) -> list[Section]:
    """Return what a hunt tried and found."""
    line = Markup("<p>{}</p>").format(summarise(done))
    return [Section("Hunt", str(line + facts(rows(done, "witness")) + story(done.story)))]
