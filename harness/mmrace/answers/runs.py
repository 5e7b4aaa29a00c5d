# SPDX-License-Identifier: GPL-2.0-only
"""Runs: those that a command made, those on disk, one judged again."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mmrace.answers.answer import Answer, Block, Page, Table
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.record import NotRun, RunDir

if TYPE_CHECKING:  # runs on disk are listed without them: they take a second
    from mmrace.experiments.demo import Demonstration, Shown
    from mmrace.experiments.running import Runs
    from mmrace.reports.files import Written

# ``record.new_id``; replays and boots of one snapshot have a number behind it.
_ID = re.compile(r"\d{4}(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-.*?-([0-9a-f]{8}(-\d+)?)")
_NAMED = 4  # runs that are named below a table of workloads
_DETAILS = ("race, workload", "kernel", "accel", "outcome", "s to fail", "title, exercised, run")


def workloads_table(runs: Iterable[RunDir]) -> Table:
    """One line for each workload on each kernel, whatever the number of its runs."""
    groups: dict[tuple[str, str, str], list[Judgement]] = {}
    for run in runs:
        spec = run.spec()
        kernel = " + ".join(spec.series) or spec.tree
        key = (spec.race.name, f"{spec.workload.name}{' (steered)' * spec.steered}", kernel)
        groups.setdefault(key, []).append(run.judgement())
    one = len({race for race, _, _ in groups}) == 1
    rows = [
        (
            workload if one else f"{race}/{workload}",
            kernel,
            _outcomes(judged),
            _seconds(judged),
            next((item.title for item in judged if item.title), exercised_text(judged[0])),
        )
        for (race, workload, kernel), judged in groups.items()
    ]
    return Table(("workload", "kernel", "outcome", "s to fail", "title, or counts"), rows, cut=True)


def _outcomes(judged: Sequence[Judgement]) -> str:
    found = Counter(map(outcome_text, judged))
    if len(judged) == 1:
        return next(iter(found))
    return ", ".join(f"{word} {count}" for word, count in found.items())


def _seconds(judged: Sequence[Judgement]) -> str:
    known = sorted(one.seconds_to_failure for one in judged if one.seconds_to_failure is not None)
    return f"{statistics.median(known):.1f}" if known else ""


def short_id(run_id: str) -> str:
    """Return the part of a run's id that every command takes for it."""
    match = _ID.fullmatch(run_id)
    return match[5] if match else run_id


def lines_table(runs: Iterable[RunDir]) -> Table:
    """One line for each run, by the part of its id that every command takes for it."""
    rows = []
    for run in runs:
        spec, match = run.spec(), _ID.fullmatch(run.id)
        when = f"{match[1]}-{match[2]} {match[3]}:{match[4]}" if match else ""
        kernel = "+".join(spec.series) or spec.tree
        what = f"{spec.race.name}/{spec.workload.name}"
        rows.append((when, short_id(run.id), what, outcome_text(run.judgement()), kernel))
    return Table(("UTC", "run", "race/workload", "outcome", "kernel"), rows, cut=True)


def details_table(runs: Iterable[RunDir]) -> Table:
    """One row a run, its long texts below one another."""
    return Table(_DETAILS, [_row(run) for run in runs])


def _row(run: RunDir) -> tuple[str, ...]:
    spec, judged, vm = run.spec(), run.judgement(), run.vm()
    seconds = judged.seconds_to_failure
    texts = (judged.title, exercised_text(judged), run.id)
    return (
        f"{spec.race.name}\n{spec.workload.name}{' (steered)' if spec.steered else ''}",
        f"{spec.release}\n{' + '.join(spec.series) or 'as it is'}",
        vm.accel,
        outcome_text(judged),
        "" if seconds is None else f"{seconds:.1f}",
        "\n".join(text for text in texts if text),
    )


def outcome_text(judged: Judgement) -> str:
    """An outcome; a failure that is not the race's own is marked (foreign)."""
    foreign = judged.outcome in (Outcome.CRASH, Outcome.FAIL) and not judged.signature_matched
    return f"{judged.outcome}{' (foreign)' if foreign else ''}"


def exercised_text(judged: Judgement) -> str:
    """Counters that prove the exercise; of a run that was not exercised also the min counts."""
    low = judged.outcome is Outcome.NOT_EXERCISED
    parts = (
        f"{name} {count}" + (f" (below {least})" if low and count < least else "")
        for name, (count, least) in judged.exercised.items()
    )
    return ", ".join(parts)


def absent(not_run: Iterable[NotRun]) -> list[str]:
    """Return a line for each workload that was not run."""
    return [f"{item.race}/{item.workload}: not run: {item.why}" for item in not_run]


def new_runs(done: Runs, *, for_git: bool = False) -> Answer:
    """Return what ``run`` and ``again`` made, with the exit code that `git bisect run` reads."""
    names = [f"run {run.id}" for run in done.made]
    if len(names) > _NAMED:
        names = [f"{len(names)} runs; `mmrace runs` lists them"]
    text: tuple[Block, ...] = (workloads_table(done.made), *names, *absent(done.not_run))
    details: tuple[Block, ...] = (details_table(done.made), *absent(done.not_run))
    code = done.bisect_code if for_git else done.exit_code
    return Answer(done.document(), text, code, error=done.error, watched=True, details=details)


def run_list(runs: Sequence[RunDir], unreadable: Sequence[RunDir] = ()) -> Answer:
    """Return runs of the home, with a note about those that this version cannot read."""
    document = {
        "runs": [run.as_json() for run in runs],
        "unreadable": [str(run.folder) for run in unreadable],
    }
    notes = []
    if unreadable:
        notes.append(
            f"not listed: {len(unreadable)} that another version of mmrace wrote,"
            f" the newest {unreadable[0].folder}"
        )
    return Answer(document, (lines_table(runs),), notes=notes, details=(details_table(runs),))


def new_judgement(run: RunDir, before: Judgement, after: Judgement) -> Answer:
    """Return how a run was judged, and how it is now."""
    document = {
        "run": run.id,
        "outcome": str(after.outcome),
        "recorded": str(before.outcome),
        "title": after.title,
        "signature_matched": after.signature_matched,
        "exercised": {name: count for name, (count, _) in after.exercised.items()},
        "notes": list(after.notes),
    }
    text = (f"{after.outcome} {after.title}", exercised_text(after), *after.notes)
    changed = f"recorded as {before.outcome}, judged {after.outcome} now"
    notes = [changed] if before.outcome is not after.outcome else []
    return Answer(document, text, after.outcome.exit_code, notes)


def demonstration(done: Demonstration, tree: str, seconds: float) -> Answer:
    """Return what the demo showed: a line for each path first, then all runs."""
    document = {
        "runs": [run.as_json() for run in done.runs],
        "not_run": [vars(item) for item in done.not_run],
        "expected": done.exit_code == 0,
    }
    unexpected = [f"not as expected: {path_line(one)}" for one in done.shown if not one.expected]
    notes = [
        *absent(done.not_run),
        f"{len(done.runs)} runs in {seconds:.0f} s",
        *unexpected,
        f"next:   mmrace verify --race khugepaged-retract --tree {tree} "
        "--before vulnerable --after fixes",
    ]
    lines = [f"{'ok ' if one.expected else 'NOT'} {path_line(one)}" for one in done.shown]
    page = Page("mmrace demo", done.runs, done.not_run)
    details: tuple[Block, ...] = (*lines, "", details_table(done.runs))
    return Answer(
        document,
        lines,
        done.exit_code,
        notes,
        page,
        error=done.error,
        watched=True,
        details=details,
    )


def path_line(one: Shown) -> str:
    """One path of a race, in one line."""
    return f"{one.race.name}, {one.path}: {one.line}"


def reports(done: Written) -> Answer:
    """Return where reports were written."""
    names = {kind: str(path) for kind, path in done.files.items()}
    return Answer(names, notes=list(names.values()), plain=done.texts)
