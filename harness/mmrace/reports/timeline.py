# SPDX-License-Identifier: GPL-2.0-only
"""How a run went over time: its phases, iterations and counters; and that as a picture (SVG)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from mmrace.judging.channel import TimeIndex, second_of
from mmrace.reports.account import Account

POINTS = 240  # kept of one counter: the picture has no more
ROWS = 10  # counters drawn; the table below the picture has all
_COUNT = re.compile(rb"# (?P<said>out mmrace: )?count (?P<name>\S+) (?P<value>\d+)\r?$")
_RESULT = re.compile(rb"(?:ok|not ok) \d+\b")

Series = tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class Bar:
    """A stretch of time (seconds since QEMU's start) and what it was; ``kind`` is a CSS class."""

    start: float
    end: float
    kind: str
    label: str


@dataclass(frozen=True)
class Timeline:
    """One run over time, in seconds since QEMU's start.

    ``failed`` is when the failure showed, None where there was none or the clock does not say.
    ``counters``: name and (second, value) pairs, those that prove the exercise first.
    """

    end: float
    phases: tuple[Bar, ...]
    iterations: tuple[Bar, ...]
    counters: tuple[tuple[str, Series], ...]
    failed: float | None


def read(account: Account) -> Timeline:
    """Put what the run recorded on one axis."""
    times = account.run.times("channel")
    end = max([account.vm.seconds, *(second for second, _ in times[-1:])])
    started = _at(times, account.channel.started)
    raced = _at(times, account.channel.raced)
    failed = None
    if started is not None and account.judged.seconds_to_failure is not None:
        failed = started + account.judged.seconds_to_failure
    required = list(account.spec.workload.min_counts)
    counters = samples(account.run.channel(), times)
    names = [name for name in required if name in counters]
    names += sorted(name for name in counters if name not in required)
    return Timeline(
        end=end,
        phases=tuple(_phases(started, raced, failed, end)),
        iterations=tuple(_iterations(account, times)),
        counters=tuple((name, thin(counters[name])) for name in names),
        failed=failed,
    )


def samples(channel: bytes, times: TimeIndex) -> dict[str, list[tuple[float, int]]]:
    """Values of each counter and when they came, a stressor's summed over its iterations."""
    found: dict[str, list[tuple[float, int]]] = {}
    before: dict[str, int] = {}  # sum over the iterations that ended
    latest: dict[str, int] = {}
    offset = 0
    for raw in channel.splitlines(keepends=True):
        line = raw.rstrip(b"\n")
        if match := _COUNT.match(line):
            name, value = match["name"].decode(errors="replace"), int(match["value"])
            if match["said"]:
                latest[name] = value
                value += before.get(name, 0)
            second = second_of(times, offset)
            if second is not None:
                found.setdefault(name, []).append((second, value))
        elif _RESULT.match(line):
            for name, value in latest.items():
                before[name] = before.get(name, 0) + value
            latest = {}
        offset += len(raw)
    return found


def thin(values: Sequence[tuple[float, int]]) -> Series:
    """At most POINTS of the values, the first and the last among them."""
    if len(values) <= POINTS:
        return tuple(values)
    step = (len(values) - 1) / (POINTS - 1)
    return tuple(values[round(number * step)] for number in range(POINTS))


def _at(times: TimeIndex, offset: int | None) -> float | None:
    return None if offset is None else second_of(times, offset)


def _phases(
    started: float | None, raced: float | None, failed: float | None, end: float
) -> Iterable[Bar]:
    if started is None:
        yield Bar(0, end, "boot", "the workload never started")
        return
    yield Bar(0, started, "boot", "boot")
    begun = started
    if raced is not None and raced > started:
        yield Bar(started, raced, "setup", "set-up")
        begun = raced
    stop = end if failed is None else min(max(failed, begun), end)
    yield Bar(begun, stop, "race", "race")
    if stop < end:
        yield Bar(stop, end, "after", "after the failure")


def _iterations(account: Account, times: TimeIndex) -> Iterable[Bar]:
    for item in account.channel.iterations:
        end = second_of(times, item.offset)
        if end is None or item.seconds is None:
            continue
        label = f"iteration {item.number}: {item.result}, {item.seconds:g} s"
        yield Bar(max(0.0, end - item.seconds), end, item.result.replace(" ", ""), label)


WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 210, 110, 26, 8


def svg(line: Timeline, title: str) -> Markup:
    """Draw it; colours come from the page's style sheet."""
    span = max(line.end, 0.001)
    scale = (WIDTH - LEFT - RIGHT) / span
    shown = line.counters[:ROWS]
    rows = 1 + bool(line.iterations) + len(shown)
    height = TOP + rows * ROW + 24
    parts: list[str | Markup] = []
    parts += (_bar(bar, scale, TOP, named=True) for bar in line.phases)
    top = TOP + ROW
    if line.iterations:
        parts.append(_text(LEFT - 8, top + 14, "iterations", "end"))
        parts += (_bar(bar, scale, top, named=False) for bar in line.iterations)
        top += ROW
    for name, values in shown:
        parts.append(_counter(name, values, scale, top))
        top += ROW
    parts.append(_axis(span, scale, top))
    if line.failed is not None:
        parts.append(_failure(line.failed, scale, top))
    return Markup(
        '<svg class="timeline" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, height, title, Markup("").join(parts))


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, kind, text
    )


def _bar(bar: Bar, scale: float, top: int, *, named: bool) -> Markup:
    x, width = LEFT + bar.start * scale, max(1.0, (bar.end - bar.start) * scale)
    tip = f"{bar.label} ({bar.start:.1f} to {bar.end:.1f} s)"
    drawn = Markup(
        '<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" class="{}"><title>{}</title></rect>'
    ).format(x, top, width, ROW - 8, bar.kind, tip)
    if named and width > 8 * len(bar.label):
        drawn += _text(x + 5, top + 13, bar.label, kind="inside")
    return drawn


def _counter(name: str, values: Series, scale: float, top: int) -> Markup:
    """One row: a line from 0 to the highest value, which stands behind it."""
    highest = max(value for _, value in values)
    base, room = top + ROW - 6, ROW - 10
    points = " ".join(
        f"{LEFT + second * scale:.1f},{base - room * value / max(highest, 1):.1f}"
        for second, value in values
    )
    tip = f"{name}: {values[-1][1]} at {values[-1][0]:.1f} s"
    return Markup(
        '<g class="counter">{}<polyline points="{}"><title>{}</title></polyline>'
        '<circle cx="{:.1f}" cy="{:.1f}" r="2"/>{}</g>'
    ).format(
        _text(LEFT - 8, base - 2, name if len(name) < 32 else f"{name[:30]}…", "end"),
        points,
        tip,
        LEFT + values[-1][0] * scale,
        base - room * values[-1][1] / max(highest, 1),
        _text(WIDTH - RIGHT + 8, base - 2, f"{values[-1][1]:,}"),
    )


def _axis(span: float, scale: float, top: int) -> Markup:
    step = next(
        size for size in (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 3600, span) if span / size <= 12
    )
    drawn = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        LEFT, WIDTH - RIGHT, top, top
    )
    for number in range(int(span / step) + 1):
        x = LEFT + number * step * scale
        drawn += Markup('<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
            x, top, top + 4
        )
        drawn += _text(x, top + 16, f"{number * step:g} s", "middle")
    return drawn


def _failure(second: float, scale: float, bottom: int) -> Markup:
    x = LEFT + second * scale
    return Markup(
        '<g class="failed"><line x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>'
        '<path d="M{0:.1f} 0 l-5 -7 h10 z" transform="translate(0 7)"/>'
        "<title>{2}</title></g>"
    ).format(x, bottom, escape(f"failure at {second:.1f} s"))
