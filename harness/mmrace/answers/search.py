# SPDX-License-Identifier: GPL-2.0-only
"""What a search of schedules found: a hunt for a race, an attack on its fix."""

from pathlib import Path

from mmrace.answers.answer import Answer, Block, Page, fields
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.hunt import Hunted, summarise
from mmrace.reports import attack, hunt
from mmrace.searching.explanation import columns
from mmrace.searching.windowing import render_windows


def hunt_result(done: Hunted, out: Path, *, windows: bool) -> Answer:
    """Return what a hunt tried and found; ``out`` has its witness; ``windows``: made of it."""
    made = render_windows(done.finding.windows) if done.finding and windows else None
    text: list[Block] = [fields(hunt.rows(done, str(out)))]
    text += ["\n".join(columns(done.story))] if done.story else []
    text += [made] if made else []
    document = {**done.document(str(out)), "windows": made}
    name = f"hunt for {done.race.name}/{done.workload.name}: {summarise(done)}"
    page = Page(name, done.runs, sections=hunt.sections(done)) if done.runs else None
    return Answer(document, text, 0 if done.proof.holds else 3, page=page, watched=True)


def attack_result(done: Attacked, out: Path) -> Answer:
    """Return what an attack tried and found; ``out`` has its witness."""
    text: tuple[Block, ...] = (fields(attack.rows(done, str(out))), *attack.details(done))
    runs = [one.run for one in done.attempts]
    page = Page(done.line, runs, done.not_run, attack.sections(done))
    return Answer(done.document(str(out)), text, done.exit_code, page=page, watched=True)
