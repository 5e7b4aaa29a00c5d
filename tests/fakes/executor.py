# SPDX-License-Identifier: GPL-2.0-only
"""An executor whose runs a test makes: cells are not planned, nothing boots."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from mmrace.executors.executor import Plan
from mmrace.experiments.session import Session
from mmrace.experiments.work import Work
from mmrace.progress import Step

Make = Callable[[Any, int, str], Any]  # kernel, seed and place of a run


class MadeRuns:
    """Has ``make`` for each cell; ``slots`` groups are submitted before one is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, make: Make, slots: int = 1) -> None:
        self.slots = self.ahead = slots
        self._make = make

        def plan(_self: Work, _planner: object, built: object, seed: int, slot: str = "") -> Any:
            return built, seed, slot

        monkeypatch.setattr(Work, "plan", plan)
        monkeypatch.setattr(Session, "planner", None)

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Any]":
        """Make the runs of a group now."""
        done: Future[Any] = Future()
        try:
            done.set_result(tuple(self._make(*cell) for cell in plan()))  # type: ignore[arg-type]
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """Nothing is under way."""
