# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as JSON and as a part of the HTML report."""

from typing import Any

from mmrace.bisect.engine import Bisection
from mmrace.bisect.log import parse
from mmrace.bisect.values import Answer, Phase
from mmrace.experiments.bisection import Bisected
from mmrace.reports.report import Section
from mmrace.verdicts import drift


def document(answer: Answer) -> dict[str, Any]:
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


def sections(done: Bisected) -> list[Section]:
    """Return how the posterior moved in all runs of a bisection."""
    model, settings = done.case.model, done.settings
    past = parse(done.log.read_text(encoding="utf-8"), Bisection(model, settings))
    names = [done.case.title(name)[:60] for name in model.dag.names[: model.dag.size]]
    drawn = drift.picture(drift.follow(model, settings, past), names)
    return [Section("How the posterior moved", str(drawn))]
