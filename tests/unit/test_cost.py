# SPDX-License-Identifier: GPL-2.0-only
import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from made_runs import BOOT, BUG, FAILED, made_run
from made_session import made_session
from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import Cost, Race, load_race, race_names
from mmrace.errors import UserError
from mmrace.experiments import cost as cost_module
from mmrace.experiments.cost import choose_operations, figures
from mmrace.home import Home
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.verdicts.cost import REPEATS, Difference, figure
from mmrace.verdicts.verdict import Arm

OPERATION = Cost(
    name="op", summary="", workload="w", start="entry of f", stop="return of f", counters=("turns",)
)


def with_samples(run: RunDir, samples: list[int]) -> RunDir:
    meters = [{"name": "op", "count": len(samples), "samples": samples}]
    (run.folder / "meters.json").write_text(json.dumps(meters))
    return run


def test_a_figure_is_median_and_quartiles() -> None:
    found = figure(range(100, 141), {"moved": 82})
    assert found
    assert (found.repeats, found.low, found.median, found.high) == (41, 109.5, 120, 130.5)
    assert found.per("moved") == 2
    assert figure(range(REPEATS - 1), {}) is None


def test_one_interrupted_measurement_does_not_move_a_figure() -> None:
    quiet, shaken = figure([1000] * 40, {}), figure([1000] * 39 + [900_000], {})
    assert quiet
    assert shaken
    assert shaken.median == quiet.median == 1000


def test_a_difference_is_clear_when_the_middle_halves_are_apart() -> None:
    before, after = figure(range(1000, 1040), {}), figure(range(1100, 1140), {})
    near = figure(range(1010, 1050), {})
    made = Difference("op", before, after)
    assert (made.added, made.clear) == (100, True)
    assert made.share == pytest.approx(100 / 1019.5)
    assert Difference("op", before, near).clear is False
    assert Difference("op", after, before).clear is True
    assert Difference("op", None, after).added is None
    assert Difference("op", None, after).share is None


def test_a_run_gives_its_figures_and_counters(tmp_path: Path) -> None:
    run = with_samples(made_run(tmp_path), list(range(50, 90)))
    found = figures(run, [OPERATION])["op"]
    assert found
    assert (found.median, found.counters) == (69.5, {"turns": 7})


def test_below_the_floors_of_the_race_what_was_measured_counts(tmp_path: Path) -> None:
    run = with_samples(made_run(tmp_path, floor=1000), [5] * REPEATS)
    assert figures(run, [OPERATION])["op"]


@pytest.mark.parametrize(("channel", "console"), [(FAILED, BOOT), ("", BOOT + BUG)])
def test_a_run_that_failed_is_no_figure(tmp_path: Path, channel: str, console: bytes) -> None:
    run = with_samples(made_run(tmp_path, channel=channel, console=console), [5] * REPEATS)
    assert figures(run, [OPERATION]) == {"op": None}


@pytest.fixture(params=race_names())
def race(request: pytest.FixtureRequest) -> Race:
    return load_race(request.param)


def test_operations_name_workloads_that_exist_and_a_machine_of_one_vcpu(race: Race) -> None:
    names = [item.name for item in race.cost]
    assert len(set(names)) == len(names)
    for item in race.cost:
        assert race.find_workload(item.workload)
        assert load_machine(item.machine).cpus == 1


def test_operations_are_chosen_by_name() -> None:
    [(race, costs)] = choose_operations((), ("exec-1k",))
    assert (race.name, [item.name for item in costs]) == ("exec-stack-migration", ["exec-1k"])
    assert {race.name for race, _ in choose_operations((), ())} >= {
        "exec-stack-migration",
        "hugetlb-anon-migration",
        "hugetlb-uffd",
        "khugepaged-retract",
    }
    with pytest.raises(UserError, match="no operation named 'exec-3k'; known: exec-2m, "):
        choose_operations(("exec-stack-migration",), ("exec-3k",))
    with pytest.raises(UserError, match="no operation named 'exec-1k'"):
        choose_operations(("hugetlb-uffd",), ("exec-1k",))


class Groups:
    """An executor that notes what it is given."""

    slots = ahead = 1

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def submit(self, plan: Any) -> Future[Any]:
        self.seen.append(plan())
        done: Future[Any] = Future()
        done.set_result(self.seen[-1])
        return done

    def close(self) -> None:
        pass


def test_both_kernels_are_measured_at_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instructions are compared: a pair is one group, which one worker runs."""
    race = next(one for one in map(load_race, race_names()) if one.cost)
    groups = Groups()
    session = made_session(Home(tmp_path, tmp_path), executor=groups)
    monkeypatch.setattr(session, "arms", lambda *_: {arm: str(arm) for arm in Arm})
    monkeypatch.setattr(cost_module, "_plan", lambda _s, built, *_: built)
    known = race.cost[:1]
    monkeypatch.setattr(cost_module, "figures", lambda *_: {known[0].name: None})
    done = cost_module.measure_costs(session, "t", (), (), [(race, known)], RunOptions())
    assert groups.seen == [("before", "after")]
    assert done.runs == ("before", "after")
