# SPDX-License-Identifier: GPL-2.0-only
"""The log of a bisection: it resumes from it, and ``git bisect replay`` reads the same file.

Runs are comments to git. Below them are the marks that the posterior stands by at that moment.
"""

from collections.abc import Iterable

from mmrace.bisect.engine import Bisection
from mmrace.bisect.values import Observation, Result
from mmrace.errors import UserError

_HEAD = "# mmrace bisection 1"
_RUN = "# run"


def render(bisection: Bisection, observations: Iterable[Observation]) -> str:
    """Return the whole file; a fix bisection marks revisions ``broken`` and ``fixed``."""
    model, dag = bisection.model, bisection.model.dag
    old, new = ("broken", "fixed") if model.fix else ("good", "bad")
    terms = f"'--term-old' '{old}' '--term-new' '{new}' " if model.fix else ""
    ends = f"'{dag.names[dag.newer_end]}' '{dag.names[dag.older_end]}'"
    lines = [f"{_HEAD} {model.fix:d}", f"git bisect start {terms}{ends}"]
    lines += [f"{_RUN} {one.revision} {one.result}" for one in observations]
    skipped = dict.fromkeys(step.revision for step in bisection.steps if step.skipped)
    lines += [f"git bisect skip {name}" for name in skipped]
    marks = _marks(bisection)
    lines += [f"git bisect {new if mark else old} {name}" for name, mark in marks.items()]
    answer = bisection.answer()
    if answer.culprit:
        lines.append(f"# culprit {answer.culprit} posterior {answer.posterior:.4f}")
    return "\n".join(lines) + "\n"


def _marks(bisection: Bisection) -> dict[str, bool]:
    """Return which revisions that were run have the change; newest first, as git keeps the last."""
    dag, belief = bisection.model.dag, bisection.belief
    sure = 1 - bisection.settings.delta
    marks = {}
    tested = {dag.rows[step.revision] for step in bisection.steps if step.runs}
    answer = bisection.answer()
    culprit = dag.rows[answer.culprit] if answer.culprit else None
    for row in sorted(tested - {dag.older_end, dag.newer_end}, reverse=True):
        share = float(belief.culprit[: dag.size] @ dag.contains(row))
        if share >= sure and (culprit is None or dag.contains(row)[culprit]):
            marks[dag.names[row]] = True
        elif share <= 1 - sure:
            marks[dag.names[row]] = False
    return marks


def parse(text: str, bisection: Bisection) -> list[Observation]:
    """Read the runs back; UserError when the log is of other ends, or is no such log."""
    lines = text.splitlines()
    ours = render(bisection, ()).splitlines()[:2]
    if not lines or not lines[0].startswith(_HEAD):
        raise UserError("not a bisection log of mmrace; name another file with --log")
    if lines[:2] != ours:
        raise UserError("this log is of a bisection between other ends; remove it to start anew")
    found = []
    for line in lines[2:]:
        if line.startswith(_RUN + " "):
            words = line.split()
            try:
                found.append(Observation(words[2], Result(words[3])))
            except (IndexError, ValueError) as error:
                raise UserError(
                    f"not a line of a bisection log: {line}; remove the log to start anew"
                ) from error
    return found
