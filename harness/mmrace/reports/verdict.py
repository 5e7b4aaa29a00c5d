# SPDX-License-Identifier: GPL-2.0-only
"""A verdict as a part of the HTML report: what it says and excludes, and how long kernels held."""

from collections.abc import Sequence

from markupsafe import Markup

from mmrace.reports.report import Section
from mmrace.runs.record import RunDir
from mmrace.verdicts import survival
from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.exclusion import exclusions
from mmrace.verdicts.verdict import Arm, Statement

_HEAD = ("path", "verdict", "before failed", "after failed", "p", "alpha")


def sections(verdict: Combined, runs: Sequence[tuple[Arm, RunDir]]) -> list[Section]:
    """Return the verdict with a row for each path, and the survival curves of both arms."""
    made = [Section("Verdict", str(_verdict(verdict)))]
    arms = {str(arm): [run for own, run in runs if own is arm] for arm in Arm}
    if drawn := survival.picture(arms):
        made.append(Section("How long they held", str(drawn)))
    return made


def _verdict(verdict: Combined) -> Markup:
    words = [
        f"{one.path}: {text}" for one in verdict.paths for text in (*exclusions(one), *_others(one))
    ]
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in _HEAD)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(cell) for cell in _row(one))
        )
        for one in verdict.paths
    )
    listed = Markup("").join(Markup("<li>{}</li>").format(text) for text in words)
    return Markup(
        "<p><strong>{}</strong></p><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>"
        "<ul>{}</ul>"
    ).format(verdict.line, head, body, listed)


def _row(one: Statement) -> tuple[str, ...]:
    rates = (
        f"{rate.failures} of {rate.runs} ({rate.low:.3f} .. {rate.high:.3f} at 95 %)"
        for rate in (one.before, one.after)
    )
    return (one.path, str(one.verdict), *rates, f"{one.p_value:.2g}", f"{one.alpha:g}")


def _others(one: Statement) -> tuple[str, ...]:
    return tuple(
        f"after also: {other.outcome} {other.title}, {other.after} times, before {other.before}"
        for other in one.after_other
    )
