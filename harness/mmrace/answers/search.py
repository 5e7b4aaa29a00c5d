# SPDX-License-Identifier: GPL-2.0-only
"""What a search of schedules found: a hunt for a race, an attack on its fix."""

from collections.abc import Iterator
from pathlib import Path

from mmrace.answers.answer import Answer, Block, Page, fields
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.hunt import Hunted
from mmrace.hunting.proof import CONTROLS
from mmrace.reports.attack import details, rows, sections
from mmrace.searching.explanation import columns
from mmrace.searching.windowing import render_windows


def hunted(done: Hunted, out: Path, *, windows: bool) -> Answer:
    """Return what a hunt tried and found; ``out`` has its witness; ``windows``: made of it."""
    made = render_windows(done.finding.windows) if done.finding and windows else None
    text: list[Block] = [fields([*_tried(done), *_found(done, out)])]
    text += ["\n".join(columns(done.story))] if done.story else []
    text += [made] if made else []
    document = {**done.document(str(out)), "windows": made}
    return Answer(document, text, 0 if done.proof.holds else 3, watched=True)


def _tried(done: Hunted) -> Iterator[tuple[str, str]]:
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


def _found(done: Hunted, out: Path) -> Iterator[tuple[str, str]]:
    proof = done.proof
    if done.control is not None:
        yield "guests that failed without any order", f"{done.control} of {CONTROLS}"
    if done.finding:
        again = sum(item.failed for item in proof.replays)
        name = f"witness {out}" if proof.holds else f"{out}, not proven"
        yield name, f"{again} of {len(proof.replays)} replays failed"
        if proof.unheld is not None:
            yield "as many guests without the schedule", f"{proof.unheld} failed"


def attacked(done: Attacked, out: Path) -> Answer:
    """Return what an attack tried and found; ``out`` has its witness."""
    text: tuple[Block, ...] = (fields(rows(done, str(out))), *details(done))
    runs = [one.run for one in done.attempts]
    page = Page(done.line, runs, done.not_run, sections(done))
    return Answer(done.document(str(out)), text, done.exit_code, page=page, watched=True)
