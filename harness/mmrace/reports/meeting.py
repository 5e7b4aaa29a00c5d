# SPDX-License-Identifier: GPL-2.0-only
"""How the vCPUs of a steered run met: their last holds, as a picture (SVG)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

SHOWN = 4  # holds in the picture
WIDTH, LEFT, RIGHT, TOP, LANE, LINE = 1000, 70, 20, 16, 54, 18
_STYLE = (
    "<style>text{fill:#777}.run{stroke:#999}.hold{fill:#e8a33d}.met{stroke:#3b7dd8;stroke-width:2;"
    "fill:none}.late{fill:#c9c9c9}.number{fill:#111;font-weight:bold}</style>"
)


@dataclass(frozen=True)
class Hold:
    """A vCPU held at a window's point, in seconds of the race phase.

    ``met``: the vCPU that came to the window's second point and ended it; None after a time-out.
    """

    vcpu: int
    start: float
    end: float
    window: int
    met: int | None


@dataclass(frozen=True)
class Meeting:
    """The last holds of a run, and by window its name and its two points."""

    windows: tuple[tuple[str, str, str], ...]
    holds: tuple[Hold, ...]


def read(story: dict[str, Any], shown: int = SHOWN) -> Meeting | None:
    """What to draw of ``Director.story``: the last meeting, and the holds around it."""
    holds = tuple(_holds(story.get("events", ())))
    last = max((number for number, hold in enumerate(holds) if hold.met is not None), default=None)
    if last is None:
        return None
    windows = tuple((item["name"], item["hold"], item["until"]) for item in story["windows"])
    first = max(0, last + 1 - shown)
    return Meeting(windows, holds[first : last + 1])


def _holds(events: Sequence[Sequence[Any]]) -> Iterable[Hold]:
    """Put the ends of holds to their beginnings; what began before the first event is left out."""
    begun: dict[tuple[int, int], float] = {}
    came: dict[int, int] = {}  # who came to a window's second point last
    for second, vcpu, kind, window in events:
        if kind == "held":
            begun[vcpu, window] = second
        elif kind == "until":
            came[window] = vcpu
        elif kind in ("met", "timeout") and (vcpu, window) in begun:
            met = came.get(window) if kind == "met" else None
            yield Hold(vcpu, begun.pop((vcpu, window)), second, window, met)


def svg(meeting: Meeting, title: str) -> Markup:
    """Draw it, with colours of its own: it also stands alone, in documents."""
    holds = meeting.holds
    vcpus = sorted({vcpu for hold in holds for vcpu in (hold.vcpu, hold.met) if vcpu is not None})
    lanes = {vcpu: TOP + number * LANE for number, vcpu in enumerate(vcpus)}
    axis = _Axis(min(hold.start for hold in holds), max(hold.end for hold in holds))
    bottom = TOP + len(vcpus) * LANE
    parts = [_lane(vcpu, top) for vcpu, top in lanes.items()]
    for number, hold in enumerate(holds, 1):
        parts.append(_hold(number, hold, lanes, axis))
        parts.append(_text(LEFT, bottom + 22 + number * LINE, _legend(number, hold, meeting, axis)))
    parts.append(_text(WIDTH - RIGHT, bottom + 14, f"{axis.span * 1e3:.3g} ms", "end"))
    return Markup(
        '<svg class="meeting" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img"'
        ' aria-label="{}" font-family="sans-serif" font-size="12">{}{}</svg>'
    ).format(
        WIDTH,
        bottom + 34 + len(holds) * LINE,
        title,
        Markup(_STYLE),  # noqa: S704 - a constant
        Markup("").join(parts),
    )


class _Axis:
    """Seconds to pixels."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.span = max(end - begin, 1e-6)

    def x(self, second: float) -> float:
        room = WIDTH - LEFT - RIGHT - 60
        return LEFT + 30 + (second - self.begin) / self.span * room


def _legend(number: int, hold: Hold, meeting: Meeting, axis: _Axis) -> str:
    _, place, until = meeting.windows[hold.window]
    begun, length = (hold.start - axis.begin) * 1e3, (hold.end - hold.start) * 1e3
    who = "nobody" if hold.met is None else f"vCPU {hold.met}"
    met = f"{who} came to {until}"
    text = f"at {begun:.3f} ms vCPU {hold.vcpu} held at {place}; after {length:.3f} ms {met}"
    return f"{number}  {text}"


def _lane(vcpu: int, top: int) -> Markup:
    middle = top + LANE / 2
    return _text(LEFT - 12, middle + 4, f"vCPU {vcpu}", "end") + Markup(
        '<line class="run" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    ).format(LEFT, WIDTH - RIGHT, middle, middle)


def _hold(number: int, hold: Hold, lanes: dict[int, int], axis: _Axis) -> Markup:
    """A bar where it was held, and an arrow from the one that ended it."""
    left, right = axis.x(hold.start), axis.x(hold.end)
    middle = lanes[hold.vcpu] + LANE / 2
    drawn = Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="18" rx="3"/>').format(
        "hold" if hold.met is not None else "late", left, middle - 9, max(right - left, 2)
    )
    drawn += _text(left, middle - 12, str(number), kind="number")
    if hold.met is None or hold.met == hold.vcpu:
        return drawn
    start = lanes[hold.met] + LANE / 2
    tip = middle + (9 if start > middle else -9)
    back = 7 if start > middle else -7
    return drawn + Markup(
        '<path class="met" d="M{0:.1f} {1} L{0:.1f} {2} m-4 {3} l4 {4} l4 {3}"/>'
    ).format(right, start, tip, back, -back)


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, kind, text
    )
