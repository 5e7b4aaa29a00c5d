# SPDX-License-Identifier: GPL-2.0-only
"""Checks of a series in the words of b4, which reads them as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmrace.definitions.race import Race
from mmrace.errors import InfraError, MmraceError
from mmrace.experiments.checking import Checked
from mmrace.outcome import Outcome
from mmrace.runs.record import NotRun, RunDir

STATUS = {
    Outcome.PASS: "pass",
    Outcome.CRASH: "fail",
    Outcome.FAIL: "fail",
    Outcome.HANG: "fail",
}  # what shows nothing is a warning


@dataclass(frozen=True)
class Check:
    """One result, in b4's words; ``status`` is pass, warn or fail."""

    tool: str
    status: str
    summary: str
    url: str = ""
    details: str = ""


def checks(done: Checked, page: Callable[[Race, tuple[RunDir, ...]], Path | None]) -> list[Check]:
    """Return a check for each run; ``page`` writes the report of a race's runs."""
    if done.unfit:
        return [_check("warn", f"builds; {done.unfit}", "\n".join(done.notes))]
    found: list[Check] = []
    for race, runs in done.runs:
        where = page(race, runs.made)
        found += [_of_run(race, run, where) for run in runs.made]
        found += [_not_run(item) for item in runs.not_run]
    return found


def refused(error: MmraceError) -> tuple[list[Check], int]:
    """Return the check that reports an error, and the command's exit code.

    What mmrace could not tell is a warning: the series did nothing wrong.
    """
    if isinstance(error, InfraError):
        return [_check("warn", f"cannot tell: {error.message}", error.detail)], 0
    return [_check("fail", error.message, error.detail)], error.exit_code


def _of_run(race: Race, run: RunDir, page: Path | None) -> Check:
    judged = run.judgement()
    shown = f"{run.spec().workload.name}: {judged.outcome} {judged.title}".rstrip()
    counts = [f"{name} {count} of {least}" for name, (count, least) in judged.exercised.items()]
    details = "\n".join([*counts, *judged.notes, f"run {run.id}"])
    status = STATUS.get(judged.outcome, "warn")
    url = page.as_uri() if page else ""
    return Check(f"mmrace/{race.name}", status, shown, url, details)


def _not_run(item: NotRun) -> Check:
    return Check(f"mmrace/{item.race}", "warn", f"{item.workload}: not run: {item.why}")


def _check(status: str, summary: str, details: str) -> Check:
    return Check("mmrace", status, summary, details=details)
