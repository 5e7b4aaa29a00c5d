# SPDX-License-Identifier: GPL-2.0-only
"""How a reproducer is steered: by random delays in functions, where a kernel has them."""

from typing import Any

import pytest

from mmrace.definitions.race import Execution
from mmrace.definitions.reproducer import Reproducer, with_delays
from mmrace.definitions.window import Delays
from mmrace.errors import UserError
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import steers
from mmrace.symbols.resolve import Resolved
from mmrace.windows.plan import make_plan


@pytest.mark.parametrize(
    ("choice", "accel", "steered"),
    [
        ({}, "tcg", True),
        ({}, "kvm", False),
        ({"steer": False}, "tcg", False),
        ({"steer_by": "kprobe"}, "tcg", False),
    ],
)
def test_a_race_of_delays_alone_is_steered_by_the_director(
    choice: dict[str, Any], accel: str, steered: bool
) -> None:
    race = with_delays(Reproducer((("w.c", b""),)).race(Execution()), [("f", "mm/rmap.c")])
    assert steers(race, race.workload[0], RunOptions(**choice), accel) is steered


def test_what_cannot_steer_a_reproducer_is_said() -> None:
    race = Reproducer((("w.c", b""),)).race(Execution())
    with pytest.raises(UserError, match=r"functions that a series changes.*--no-steer"):
        steers(race, race.workload[0], RunOptions(steer=True), "tcg")


def test_optional_delays_leave_out_what_a_kernel_does_not_have() -> None:
    class Kernel:
        def resolve(self, points: tuple[str, ...]) -> Resolved:
            if "gone" in points[0]:
                raise UserError("no code of gone")
            return Resolved(points[0], (1,))

    points = (("anywhere in here",), ("anywhere in gone",))
    plan = make_plan((), Kernel(), 1, Delays(points=points, optional=True))  # type: ignore[arg-type]
    assert [one.point for one in plan.delays] == ["anywhere in here"]
    with pytest.raises(UserError, match="gone"):
        make_plan((), Kernel(), 1, Delays(points=points))  # type: ignore[arg-type]
