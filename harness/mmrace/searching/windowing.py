# SPDX-License-Identifier: GPL-2.0-only
"""Windows for race.toml, made from an order that was proven."""

import json
from collections.abc import Callable, Sequence

from mmrace.definitions.window import Window
from mmrace.definitions.witness import Step

TIMEOUT = 5.0  # milliseconds of a window's hold


def windows_of(
    order: Sequence[Step], workload: str, partner: Callable[[str], str] = lambda _point: ""
) -> tuple[Window, ...]:
    """Return a window for each step that holds an actor until another one was somewhere.

    ``partner`` gives a point at which another vCPU meets the access before a point, where the order
    only tells that it went on; "" for none.
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
    """The last point that others reach while this step's actor is held."""
    last = ""
    for step in order[number + 1 :]:
        if step.actor == order[number].actor:
            break
        last = step.point[0] if step.point else last
    return last


def render_windows(windows: Sequence[Window]) -> str:
    """Write windows as they stand in race.toml."""
    lines: list[str] = []
    for window in windows:
        lines += ["", "[[window]]"]
        fields = window.model_dump(mode="json", exclude_defaults=True)
        for key, value in fields.items():
            single = value[0] if key in ("hold", "until") and len(value) == 1 else value
            lines.append(f"{key} = {json.dumps(single)}")
    return "\n".join(lines).lstrip("\n") + "\n"
