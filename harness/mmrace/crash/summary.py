# SPDX-License-Identifier: GPL-2.0-only
"""What a report amounts to once it has been read: its kind, its function, whether it is whole."""

from mmrace.crash.backtrace import plain
from mmrace.crash.culprit import choose, choose_wait, innermost
from mmrace.crash.formats import CONSEQUENCE, KIND_BY_FILE, Use
from mmrace.crash.helpers import SKIP_TRACKING, Names
from mmrace.crash.kind import PANICS, Kind
from mmrace.crash.report import Report
from mmrace.crash.title import titles
from mmrace.crash.trace import Trace, inlined
from mmrace.crash.values import CorruptedReason, Crash

_SKIPS = {Kind.ODEBUG: SKIP_TRACKING}  # beside what the format skips


def summarise(report: Report) -> Crash:
    """Sum up a report that is over."""
    kind = _kind(report)
    skip = _SKIPS.get(kind, report.form.skip)
    trace = _trace(report, skip)
    candidates = [name for name in (*_first(report, trace), *trace.names) if name]
    function = _function(report, kind, trace, candidates, skip)
    names = titles(
        report.form, report.header, kind, report.prelude, report.access, function,
        _others(report, trace, candidates, skip),
    )  # fmt: skip
    return Crash(
        kind, names[0], names[1:], function, report.start, report.end,
        _reason(report, kind, trace, function), tuple(trace.frames), report.caller,
    )  # fmt: skip


def _kind(report: Report) -> Kind:
    file = report.header.groupdict().get("file") or ""
    if report.kind in (Kind.WARNING, Kind.BUG):
        return next((kind for place, kind in KIND_BY_FILE if place.search(file)), report.kind)
    return report.kind


def _trace(report: Report, skip: Names) -> Trace:
    """The trace that shows the failure."""
    own = [trace for trace in report.traces if trace.own and (trace.frames or trace.pointer)]
    first = own[0] if own else Trace()
    if report.form.use is Use.LOOP:
        return next((trace for trace in own if trace.looping(skip)), first)
    return first


def _function(report: Report, kind: Kind, trace: Trace, candidates: list[str], skip: Names) -> str:
    other = report.header.groupdict().get("other")
    if report.form.use is Use.NONE:
        return ""
    if kind is Kind.KCSAN and other:
        return f"{plain(report.header['at'])} / {plain(other)}"
    if report.form.use is Use.LOOP:
        return trace.looping(skip)
    if report.form.use is Use.WAIT:
        return choose_wait(candidates, skip)
    return choose(candidates, skip)


def _others(report: Report, trace: Trace, candidates: list[str], skip: Names) -> tuple[str, ...]:
    """Functions that others may name: the innermost, the one that nothing inlined, the waiter."""
    if report.form.use is Use.WAIT:
        return (choose(candidates, skip),)
    if report.form.use is Use.LOOP or report.named:
        return (innermost(candidates),)
    at = report.header.groupdict().get("at") if report.form.use is Use.HEADER else ""
    pointed = report.form.use in (Use.POINTER, Use.HEADER)
    outlined = trace.outlined if pointed else [n for n in trace.outlined if n != trace.place]
    found = innermost(candidates), choose([plain(at), *outlined] if at else outlined, skip)
    if report.kind is Kind.MEMORY_LEAK:  # whether a driver's allocator or its caller is to blame
        return *found, choose([name for name in candidates if "alloc" not in name], skip)
    return found


def _first(report: Report, trace: Trace) -> list[str]:
    """Names that are better than the trace's, best first."""
    if report.named:
        return [report.named]
    pointer = [trace.pointer.function] if trace.pointer else []
    if report.form.use is Use.HEADER:
        at = plain(report.header.groupdict().get("at") or "")
        return [*inlined(trace, at), at] if at else pointer
    return pointer if report.form.use is Use.POINTER or not trace.frames else []


def _reason(report: Report, kind: Kind, trace: Trace, function: str) -> CorruptedReason | None:
    """Why a report is not whole."""
    form = report.form
    consequence = kind in PANICS and CONSEQUENCE.search(report.header.string)
    traced = form.stack or form.use is not Use.NONE
    untold = not trace.frames and (form.stack or not function)
    unnamed = not function and form.use is not Use.NONE
    reasons = (
        (form.headless or consequence, CorruptedReason.HEADER_LOST),
        (report.mixed, CorruptedReason.MIXED),
        (traced and untold and trace.announced and trace.marked, CorruptedReason.NO_FUNCTION),
        (traced and untold, CorruptedReason.BEFORE_TRACE),
        (traced and trace.guessed, CorruptedReason.GUESSED),
        (report.cut or (unnamed and not trace.ended), CorruptedReason.INSIDE_TRACE),
    )
    return next((reason for holds, reason in reasons if holds), None)
