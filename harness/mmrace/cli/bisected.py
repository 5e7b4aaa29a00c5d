# SPDX-License-Identifier: GPL-2.0-only
"""What ``bisect`` tells: the JSON document, the tables, the report."""

from pathlib import Path

from mmrace.bisect.case import Case, short
from mmrace.bisect.engine import Bisection
from mmrace.bisect.log import parse
from mmrace.bisect.probe import KernelProbe
from mmrace.bisect.values import Answer, Phase, Settings
from mmrace.cli.app import App
from mmrace.cli.records import write_report
from mmrace.cli.tables import table
from mmrace.reports.report import Section
from mmrace.verdicts import drift


def document(answer: Answer) -> dict[str, object]:
    """What goes into JSON."""
    return {
        "culprit": answer.culprit,
        "posterior": answer.posterior,
        "no_culprit": answer.no_culprit,
        "confirmed": answer.confirmed,
        "suspects": [list(one) for one in answer.suspects],
        "steps": [
            {
                "rev": one.revision,
                "phase": str(one.phase),
                "runs": one.runs,
                "failures": one.failures,
                "void": one.void,
                "skipped": one.skipped,
            }
            for one in answer.steps
        ],
        "builds": answer.builds,
        "search_runs": answer.runs[Phase.SEARCH],
        "runs_total": sum(answer.runs.values()),
    }


def show(app: App, case: Case, answer: Answer) -> None:
    """Print what was run, and the answer."""
    rows = [
        (
            str(one.phase),
            case.title(one.revision),
            "skipped" if one.skipped else f"{one.failures} of {one.runs}",
            str(one.void or ""),
        )
        for one in answer.steps
    ]
    app.out.print(table(("for", "revision", "failed", "said nothing"), rows))
    if answer.culprit:
        how = "confirmed" if answer.confirmed else "NOT confirmed"
        odds = answer.posterior / max(1 - answer.posterior, 1e-9)
        what = "ends the failure" if case.model.fix else "brings the failure"
        said = f"{case.title(answer.culprit)}: {what}, odds {odds:.3g} to 1, {how}"
    else:
        said = f"not found; no culprit between the ends: {answer.no_culprit:.3f}"
        names = ", ".join(f"{short(name)} {share:.3f}" for name, share in answer.suspects[:5])
        said += f"; likeliest: {names}"
    app.out.print(said, markup=False)
    runs = ", ".join(f"{count} to {phase}" for phase, count in answer.runs.items())
    app.out.print(f"{sum(answer.runs.values())} runs ({runs}), {answer.builds} revisions run")


def report(app: App, case: Case, probe: KernelProbe, settings: Settings, log: Path) -> None:
    """Runs of this invocation, and how the posterior moved in all of them."""
    runs = [trial.run for _, trial in probe.trials if trial.run]
    if not runs:
        return
    past = parse(log.read_text(encoding="utf-8"), Bisection(case.model, settings))
    names = [case.title(name)[:60] for name in case.model.dag.names[: case.model.dag.size]]
    drawn = drift.picture(drift.follow(case.model, settings, past), names)
    section = Section("How the posterior moved", str(drawn))
    page, _ = write_report(app, runs, f"bisection by {runs[0].spec().race.name}", (), [section])
    app.note(f"report: {page}")
