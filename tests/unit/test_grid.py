# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: every cell has a word, and no more guests run than there are slots."""

import os
import threading
from pathlib import Path

import pytest

from fakes.executor import MadeRuns
from made_session import made_session
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import BuildError, InfraError, NotHereError
from mmrace.experiments.matrix import columns_of, fill_matrix, slots_for
from mmrace.experiments.session import Session
from mmrace.home import Home
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.severity import worst_code
from mmrace.verdicts.grid import Cell, Column, html, rows

RACES = [load_race(name) for name in race_names()]
COLUMNS = [Column("debian:6.1", ("vulnerable",)), Column("debian:6.1", ("broken",))]
OPTIONS = RunOptions()


def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int) -> Session:
    """A session whose kernels are the names of their configs; one series does not build."""

    def build(_home: object, _tree: str, series: tuple[str, ...], configs: object, *_: object):  # type: ignore[no-untyped-def]
        if series == ("broken",):
            raise BuildError("the kernel did not build: mm/a.c:1 <oh>")
        return configs

    monkeypatch.setattr(kernels, "build", build)
    made = MadeRuns(monkeypatch, lambda *_: None, slots)
    return made_session(Home(tmp_path / "cache", tmp_path / "data"), executor=made)


def test_every_cell_has_a_word_and_says_why_it_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path, monkeypatch, 2)

    def fill(race: Race, column: Column) -> Cell:
        if made.build(column.tree, column.series, OPTIONS, race) != race.own_config:
            return Cell(race.name, column, "WRONG", "another race's kernel", 70)
        if race.name == "hugetlb-uffd":
            raise InfraError("QEMU is not there")
        if race.name == "khugepaged-retract":
            raise NotHereError("LTP is not here")
        return Cell(race.name, column, "CRASH", "kernel BUG <in a>", 1)

    done = fill_matrix(made, RACES, COLUMNS, fill, OPTIONS)
    found = {(cell.race, cell.column.series): (cell.word, cell.code) for cell in done.cells}
    assert len(found) == len(RACES) * len(COLUMNS)
    assert found["exec-stack-migration", ("vulnerable",)] == ("CRASH", 1)
    assert found["pagemap-thp-split", ("vulnerable",)] == ("CRASH", 1)
    assert found["hugetlb-uffd", ("vulnerable",)] == ("INFRA", 69)
    assert found["khugepaged-retract", ("vulnerable",)] == ("-", 2)
    assert {found[race.name, ("broken",)] for race in RACES} == {("NOT_BUILT", 4)}
    assert done.exit_code == 69
    assert [name for name, _ in rows(RACES, COLUMNS, done.cells)] == [race.name for race in RACES]
    page = html(RACES, COLUMNS, done.cells)
    assert "kernel BUG &lt;in a&gt;" in page
    assert "<oh>" not in page
    assert page.count("<td>") == len(done.cells)


@pytest.mark.parametrize("slots", [1, 3])
def test_no_more_cells_than_slots_and_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(slots)

    def count(race: Race, column: Column) -> Cell:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1
        return Cell(race.name, column, "PASS", "", 0)

    columns = [Column("t", (str(number),)) for number in range(3)]
    fill_matrix(session(tmp_path, monkeypatch, slots), RACES[:1], columns, count, OPTIONS)
    assert most == slots


def test_default_slots_leave_each_vcpu_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, slots in ((1, 1), (2, 1), (5, 2), (16, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, n=cores: set(range(n)))
        assert slots_for(RACES, "numa2") == slots  # two vCPUs


def test_the_worst_cell_gives_the_exit_code() -> None:
    assert worst_code([0, 0]) == 0
    assert worst_code([0, 3, 1]) == 1
    assert worst_code([3, 0]) == 3
    assert worst_code([1, 4]) == 4
    assert worst_code([69, 4]) == 69


def test_series_of_one_column() -> None:
    found = columns_of(["a", "b"], ["vulnerable+fixes", "none"], [])
    assert [(one.tree, one.series) for one in found] == [
        ("a", ("vulnerable", "fixes")),
        ("a", ()),
        ("b", ("vulnerable", "fixes")),
        ("b", ()),
    ]
    assert [one.before for one in columns_of(["a"], [], ["vulnerable"])] == [("vulnerable",)]
