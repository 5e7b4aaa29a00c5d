# SPDX-License-Identifier: GPL-2.0-only
"""The paths of a race, and the workload that decides each."""

import pytest
from pydantic import ValidationError

from mmrace.definitions.base import load_bases
from mmrace.definitions.race import (
    Race,
    RacePath,
    Signature,
    Source,
    Workload,
    load_race,
    race_names,
)
from mmrace.errors import UserError


def workload(name: str, **more: object) -> Workload:
    known = {"summary": "", "source": Source.STRESSOR, "argv": ("w",), "sources": ("w.c",)}
    return Workload(name=name, min_counts={"turns": 1}, **{**known, **more})  # type: ignore[arg-type]


def race(*workloads: Workload, path: tuple[RacePath, ...] = ()) -> Race:
    signature = (Signature(title="x"),)
    return Race(name="r", title="", summary="", signature=signature, workload=workloads, path=path)


def path(name: str, *workloads: str) -> RacePath:
    return RacePath(name=name, summary="", workloads=workloads)


def names(race: Race, release: str, workload: str | None = None) -> dict[str, str]:
    return {name: item.name for name, item in race.paths(release, workload).decided.items()}


def test_each_default_workload_is_a_path_where_none_is_given() -> None:
    made = race(workload("a"), workload("b"), workload("c", default=False))
    assert names(made, "6.1.2") == {"a": "a", "b": "b"}
    with pytest.raises(ValidationError, match="no workload that runs by default"):
        race(workload("a", default=False))


def test_the_first_workload_that_runs_on_a_kernel_decides() -> None:
    made = race(
        workload("new", versions=">=6.1"),
        workload("old", default=False),
        workload("newer", versions=">=6.8"),
        path=(path("way", "new", "old"), path("hole", "newer")),
    )
    assert names(made, "6.1.192") == {"way": "new"}
    assert names(made, "6.0.0+") == {"way": "old"}
    assert names(made, "6.8.0-rc1") == {"way": "new", "hole": "newer"}
    assert names(made, "") == {"way": "new", "hole": "newer"}
    assert [item.name for item in made.default_workloads("6.1.192")] == ["new"]
    assert [item.name for item in made.default_workloads()] == ["new", "newer"]


def test_a_workload_narrows_to_its_path_and_says_what_is_left_out() -> None:
    made = race(workload("a"), workload("b"), workload("c"), path=(path("x", "a"), path("y", "b")))
    assert made.paths("6.1", "b").left_out == ("x",)
    assert names(made, "6.1", "b") == {"y": "b"}
    assert names(made, "6.1", "c") == {"c": "c"}
    assert made.paths("6.1", "c").left_out == ("x", "y")
    with pytest.raises(UserError, match="no workload named 'd'"):
        made.paths("6.1", "d")


def test_a_race_without_a_path_on_a_kernel_is_bad_input() -> None:
    made = race(workload("a", versions=">=6"), path=(path("x", "a"),))
    with pytest.raises(UserError, match=r"no path on Linux 5\.10\.1"):
        made.paths("5.10.1")


def test_paths_name_workloads_that_are_there_and_have_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="path x: the race has no workload 'b'"):
        race(workload("a"), path=(path("x", "a", "b"),))
    with pytest.raises(ValidationError, match="two paths are called 'x'"):
        race(workload("a"), path=(path("x", "a"), path("x", "a")))


@pytest.mark.parametrize("name", race_names())
def test_the_races_have_paths_that_their_default_workloads_decide(name: str) -> None:
    made = load_race(name)
    assert made.path
    defaults = {item.name for item in made.default_workloads()}
    assert {path.workloads[0] for path in made.path} <= defaults
    for base in load_bases():
        if base.covers(name) and base.tested:
            paths = made.paths(base.tested)
            assert paths.decided, base.name
            # A path that can be steered is decided by a workload that is.
            for workload in paths.decided.values():
                assert made.windows_for(workload.name) or base.name == "2.6.34", workload.name


def test_min_counts_by_their_older_name_are_read_as_such() -> None:
    known = {"name": "w", "summary": "", "source": "stressor", "argv": ["w"], "sources": ["w.c"]}
    old = Workload.model_validate({**known, "exercised": {"turns": 3}})
    assert old == Workload.model_validate({**known, "min_counts": {"turns": 3}})
    with pytest.raises(ValueError, match="min_counts is given twice; drop exercised"):
        Workload.model_validate({**known, "exercised": {"a": 1}, "min_counts": {"a": 1}})
