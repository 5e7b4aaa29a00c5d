# SPDX-License-Identifier: GPL-2.0-only
"""How long the demo lets the fixed kernel run, and what it calls expected."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from mmrace.definitions.race import load_race, race_names
from mmrace.errors import InfraError
from mmrace.experiments.demo import Demonstration, demonstrate
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.options import RunOptions

PATHS = sum(
    len(race.paths("6.1.192").decided) for race in map(load_race, race_names()) if race.demo
)
HELD = Judgement(Outcome.PASS, exercised={"moved": (900, 80)}, stressed=20.0)


def failed(stressed: float) -> Judgement:
    # Set-up on a busy host takes longer than the failure.
    return Judgement(
        Outcome.CRASH, "a title", signature_matched=True, seconds_to_failure=30.0, stressed=stressed
    )


class Runs:
    """A session whose kernels are names; ``before`` fails as it is told, ``after`` too."""

    def __init__(self, before: Judgement, after: Judgement = HELD) -> None:
        self.judged = {1: before, 2: after}
        self.made: list[tuple[str, int, RunOptions]] = []

    def build(self, _tree: str, series: tuple[str, ...], *_rest: object) -> Any:
        return SimpleNamespace(series=series, kernel=SimpleNamespace(release="6.1.192"))

    def run(self, built: Any, race: Any, workload: Any, options: RunOptions) -> Any:
        count = len(built.series)
        self.made.append((f"{race.name}/{workload.name}", count, options))
        return SimpleNamespace(judgement=lambda: self.judged[count])

    def begin(self, *what: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result((self.run(*what),))
        return done

    def demo(self) -> Demonstration:
        options = RunOptions(seconds=60)
        return demonstrate(self, "debian:6.1", options, lambda _shown: None)  # type: ignore[arg-type]


def test_every_path_of_the_races_is_shown_before_and_after() -> None:
    runs = Runs(failed(0.5))
    assert runs.demo().exit_code == 0
    races = [race for race in map(load_race, race_names()) if race.demo]
    paths = [
        f"{race.name}/{workload.name}"
        for race in races
        for workload in race.paths("6.1.192").decided.values()
    ]
    assert [(name, count) for name, count, _ in runs.made] == [
        (path, count) for path in paths for count in (1, 2)
    ]


@pytest.mark.parametrize(("stressed", "least"), [(0.05, 4.0), (0.5, 10.0), (20.0, 60.0)])
def test_the_fixed_kernel_runs_for_twenty_times_the_failing_time(
    stressed: float, least: float
) -> None:
    runs = Runs(failed(stressed))
    runs.demo()
    after = [options for _, count, options in runs.made if count == 2]
    assert {options.seconds for options in after} == {least}
    assert {options.cap for options in after} == {240}


def test_what_is_not_as_expected_is_told_by_the_exit_code() -> None:
    assert Runs(HELD).demo().exit_code == 3
    assert Runs(failed(0.5), Judgement(Outcome.NOT_EXERCISED)).demo().exit_code == 3
    line = Runs(failed(0.5)).demo().shown[0].line
    assert line == "before: failed after 0.5 s; after: held, 900 times at the contested point"


def test_runs_of_the_fixed_kernel_go_on_beside_and_are_told_in_order() -> None:
    class Slow(Runs):
        """A session in which no run of "after" has ended until all of "before" have."""

        def __init__(self) -> None:
            super().__init__(failed(0.5))
            self.begun: list[Future[Any]] = []

        def begin(self, *what: Any) -> "Future[Any]":
            self.begun.append(Future())
            if len(self.begun) == PATHS:
                for one in reversed(self.begun):
                    one.set_result((SimpleNamespace(judgement=lambda: HELD),))
            return self.begun[-1]

    paths: list[str] = []
    options = RunOptions(seconds=60)
    done = demonstrate(Slow(), "t", options, lambda one: paths.append(one.path))  # type: ignore[arg-type]
    assert paths == [one.path for one in done.shown]
    assert (len(paths), done.exit_code) == (PATHS, 0)


def test_what_has_run_is_shown_when_something_breaks() -> None:
    class Breaks(Runs):
        """A session whose third run of "before" fails to start, and whose first "after" waits."""

        def run(self, built: Any, race: Any, workload: Any, options: RunOptions) -> Any:
            if len(self.made) == 2:
                raise InfraError("no QEMU")
            return super().run(built, race, workload, options)

        def begin(self, *_what: Any) -> "Future[Any]":
            return Future()

    options = RunOptions(seconds=60)
    done = demonstrate(Breaks(failed(0.5)), "t", options, lambda _one: None)  # type: ignore[arg-type]
    assert len(done.shown) == 2
    assert [one.after for one in done.shown] == [None, None]
    assert done.exit_code == 69
