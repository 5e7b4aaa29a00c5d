# SPDX-License-Identifier: GPL-2.0-only
import os
import threading

import pytest

from mmrace.cli.matrix import default_jobs, split
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import BuildError, InfraError, NotHereError
from mmrace.verdicts.grid import BuiltFor, Cell, Column, fill, html, rows, worst

RACES = [load_race(name) for name in race_names()]
COLUMNS = [Column("debian:6.1", ("vulnerable",)), Column("debian:6.1", ("broken",))]
OWN = {race.own_config for race in RACES}
FAULT = BuildError("the kernel did not build: mm/a.c:1 <oh>")
KERNELS = {("debian:6.1", ("vulnerable",), own): " ".join(own) for own in OWN} | {
    ("debian:6.1", ("broken",), own): FAULT for own in OWN
}


def make(race: Race, column: Column, built: BuiltFor) -> Cell:
    if built(column.series) != " ".join(race.own_config):
        return Cell(race.name, column, "WRONG", "another race's kernel", 70)
    if race.name == "hugetlb-uffd":
        raise InfraError("QEMU is not there")
    if race.name == "khugepaged-retract":
        raise NotHereError("LTP is not here")
    return Cell(race.name, column, "CRASH", "kernel BUG <in a>", 1)


def test_every_cell_has_a_word_and_says_why_it_has_none() -> None:
    cells = fill(RACES, COLUMNS, KERNELS, make, 2)
    found = {(cell.race, cell.column.series): (cell.word, cell.code) for cell in cells}
    assert len(found) == len(RACES) * len(COLUMNS)
    assert found["exec-stack-migration", ("vulnerable",)] == ("CRASH", 1)
    assert found["pagemap-thp-split", ("vulnerable",)] == ("CRASH", 1)
    assert found["hugetlb-uffd", ("vulnerable",)] == ("INFRA", 69)
    assert found["khugepaged-retract", ("vulnerable",)] == ("-", 2)
    assert {found[race.name, ("broken",)] for race in RACES} == {("NOT_BUILT", 4)}
    assert [name for name, _ in rows(RACES, COLUMNS, cells)] == [race.name for race in RACES]
    page = html(RACES, COLUMNS, cells)
    assert "kernel BUG &lt;in a&gt;" in page
    assert "<oh>" not in page
    assert page.count("<td>") == len(cells)


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_guests_than_jobs_and_as_many(jobs: int) -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(jobs)

    def count(race: Race, column: Column, _built: BuiltFor) -> Cell:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1
        return Cell(race.name, column, "PASS", "", 0)

    columns = [Column("t", (str(number),)) for number in range(3)]
    fill(RACES[:1], columns, {}, count, jobs)
    assert most == jobs


def test_default_jobs_leave_each_virtual_cpu_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, jobs in ((1, 1), (2, 1), (5, 2), (16, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, n=cores: set(range(n)))
        assert default_jobs(RACES, "numa2") == jobs  # two virtual CPUs


def test_the_worst_cell_gives_the_exit_code() -> None:
    assert worst([0, 0]) == 0
    assert worst([0, 3, 1]) == 1
    assert worst([3, 0]) == 3
    assert worst([1, 4]) == 4
    assert worst([69, 4]) == 69


def test_series_of_one_column() -> None:
    assert split("vulnerable+fixes") == ("vulnerable", "fixes")
    assert split("none") == split("") == ()
