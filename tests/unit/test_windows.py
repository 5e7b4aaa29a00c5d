# SPDX-License-Identifier: GPL-2.0-only
"""The windows of the races that are there."""

import pytest

from mmrace.definitions.race import Race, load_race, race_names


@pytest.fixture(params=race_names())
def race(request: pytest.FixtureRequest) -> Race:
    return load_race(request.param)


def test_each_race_is_steered_by_windows_of_different_names(race: Race) -> None:
    names = [window.name for window in race.window]
    assert names
    assert len(set(names)) == len(names)


def test_a_window_belongs_to_workloads_that_exist(race: Race) -> None:
    known = {workload.name for workload in race.workload}
    for window in race.window:
        assert set(window.workloads) <= known


def test_the_workloads_of_a_window_are_the_only_ones_it_steers() -> None:
    fields = load_race(race_names()[0]).model_dump()
    first = fields["workload"][0]["name"]
    points = {"hold": "entry of f", "until": "entry of g"}
    fields["window"] = [
        {"name": "all", **points},
        {"name": "one", **points, "workloads": [first]},
        {"name": "other", **points, "workloads": ["nothing-else"]},
    ]
    names = [window.name for window in Race.model_validate(fields).windows_for(first)]
    assert names == ["all", "one"]
