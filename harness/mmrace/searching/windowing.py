# SPDX-License-Identifier: GPL-2.0-only
"""Windows for race.toml made from a proven order, and orders made from windows."""

import json
from collections.abc import Callable, Sequence

from mmrace.definitions.window import Window
from mmrace.definitions.witness import Step
from mmrace.hunting.order import going_on

TIMEOUT = 5.0  # milliseconds that a window holds, at most


def windows_of(
    order: Sequence[Step], workload: str, partner: Callable[[str], str] = lambda _point: ""
) -> tuple[Window, ...]:
    """Return a window for each step that holds its actor until another one reached a point.

    Where the order only says that the other actor goes on, ``partner`` returns a point at which
    another vCPU meets the access before the held point, "" for none.
    """
    found: list[Window] = []
    for number, step in enumerate(order):
        if not step.point:
            continue
        until = _until(order, number) or partner(step.point[0])
        if until:
            found.append(
                Window(
                    name=f"found-{len(found) + 1}",
                    hold=step.point,
                    until=(until,),
                    timeout=TIMEOUT,
                    workloads=(workload,),
                )
            )
    return tuple(found)


def _until(order: Sequence[Step], number: int) -> str:
    """The last point that others reach while this step's actor is held, "" for none."""
    last = ""
    for step in order[number + 1 :]:
        if step.actor == order[number].actor:
            break
        last = step.point[0] if step.point else last
    return last


def orders_of(windows: Sequence[Window]) -> tuple[tuple[Step, ...], ...]:
    """Return orders that windows may have caused: all windows in sequence, and each window alone.

    Where a window holds at the until point of the window before, both are one step of the same
    vCPU.
    """
    found = [_chained(windows)] if len(windows) > 1 else []
    for window in windows:
        one = _chained((window,))
        found += [one, (*one, going_on(one[0].actor))]
    return tuple(dict.fromkeys(found))


def _chained(windows: Sequence[Window]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for window in windows:
        if not steps or steps[-1].point != window.hold:
            steps.append(Step(actor=_next(steps), point=window.hold))
        steps.append(Step(actor=_next(steps), point=window.until))
    return tuple(steps)


def _next(steps: Sequence[Step]) -> str:
    """The actor that did not make the last step."""
    return "V1" if steps and steps[-1].actor == "V0" else "V0"


def render_windows(windows: Sequence[Window]) -> str:
    """Return windows as TOML for race.toml."""
    lines: list[str] = []
    for window in windows:
        lines += ["", "[[window]]"]
        fields = window.model_dump(mode="json", exclude_defaults=True)
        for key, value in fields.items():
            single = value[0] if key in ("hold", "until") and len(value) == 1 else value
            lines.append(f"{key} = {json.dumps(single)}")
    return "\n".join(lines).lstrip("\n") + "\n"
