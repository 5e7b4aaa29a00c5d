# SPDX-License-Identifier: GPL-2.0-only
"""Tables fit a terminal of 80 columns, a row in one line where that is wanted."""

import io
import json
from pathlib import Path

import pytest
from rich.color import Color
from rich.console import Console
from rich.style import Style

from made_runs import made_run
from mmrace.answers.answer import Table
from mmrace.answers.crashes import crash_groups, failure_rates
from mmrace.answers.races import race_details, race_list
from mmrace.answers.runs import run_list
from mmrace.definitions.race import load_race, race_names
from mmrace.groups import Group, Rate
from mmrace.home import Home
from mmrace.runs.record import find_run, last_runs
from mmrace.terminal.tables import STYLES, rich_table

RUN = "20261129-120059-exec-stack-migration-exec-storm-slow-cdb929e6"


def lines(table: Table, *, colours: bool = False) -> list[str]:
    console = Console(
        file=io.StringIO(),
        width=80,
        force_terminal=colours,
        color_system="256" if colours else None,
    )
    console.print(rich_table(table, console.width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_row_is_one_line_whose_end_is_cut() -> None:
    table = Table(("run", "outcome", "kernel"), [(RUN, "CRASH", "vulnerable + fixes")], cut=True)
    head, row = lines(table)
    assert row.startswith(f"{RUN}  CRASH")
    assert max(len(head), len(row)) <= 80


def test_any_other_table_folds() -> None:
    made = lines(Table(("run", "what"), [(RUN, "a long text " * 9)]))
    assert len(made) > 2
    assert max(map(len, made)) <= 80


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(("outcome",), [("CRASH (foreign)",), ("PASS",)])
    assert not any("\x1b" in line for line in lines(table))
    assert any("\x1b[1;38;5;160mCRASH" in line for line in lines(table, colours=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("38;5" in line for line in lines(table, colours=True))


def test_a_list_of_runs_says_all_in_a_line_and_names_each_as_commands_take_it(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path, tmp_path)
    made_run(home.runs, name=RUN, race="exec-stack-migration", series=("vulnerable", "fixes"))
    head, row = lines(*run_list(*last_runs(home, 1)).text)  # type: ignore[arg-type]
    assert head.split() == ["UTC", "run", "race/workload", "outcome", "kernel"]
    words = ["11-29", "12:00", "cdb929e6", "exec-stack-migration/w", "PASS", "vulnerable+fixes"]
    assert row.split() == words
    assert find_run(home, words[2]).id == RUN
    made_run(home.runs, name="30000101-000000-an-id-of-another-form", race="exec-stack-migration")
    _, other = lines(*run_list(*last_runs(home, 1)).text)  # type: ignore[arg-type]
    assert other.split()[0] == "30000101-000000-an-id-of-another-form"


def test_a_run_of_another_version_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    made_run(home.runs, name=RUN, race="exec-stack-migration")
    other = made_run(home.runs, name="30000101-000000-r-w-00000001", race="exec-stack-migration")
    spec = json.loads((other.folder / "spec.json").read_text())
    (other.folder / "spec.json").write_text(json.dumps({**spec, "of_tomorrow": 1}))
    for outcome in (None, "PASS"):
        answer = run_list(*last_runs(home, 5, outcome=outcome))
        assert [run["id"] for run in answer.document["runs"]] == [RUN]
        assert answer.document["unreadable"] == [str(other.folder)]
        assert "1 that another version of mmrace wrote" in answer.notes[0]
    assert not run_list(*last_runs(home, 5, race="no-such-race")).document["runs"]


def test_the_list_of_races_has_a_line_for_each() -> None:
    head, *rows = lines(*race_list().text)  # type: ignore[arg-type]
    assert head.split() == ["race", "bug"]
    assert [row.split()[0] for row in rows] == race_names()


def luminance(colour: Color) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [value / 255 for value in colour.get_truecolor()]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("style", sorted(set(STYLES.values())))
def test_a_colour_can_be_read_on_black_and_on_white(style: str) -> None:
    colour = Style.parse(style).color
    assert colour
    assert (colour.number or 0) >= 16, "terminals give the first 16 colours another meaning"
    light = luminance(colour)
    assert (light + 0.05) / 0.05 > 3.8
    assert 1.05 / (light + 0.05) > 3.8


def test_groups_and_rates_have_a_line_for_each_row() -> None:
    title = "general protection fault in remove_migration_pte"
    group = Group(
        "general protection fault", title, 34, 34, ("exec-stack-migration",), (), RUN, RUN
    )
    rate = Rate(
        "2026-11-29", "minor-by-migration-shared", "6.1.192", "vulnerable+fixes", "d0" * 8,
        43, 43, 42, 299,
    )  # fmt: skip
    for answer in (crash_groups([group]), failure_rates("hugetlb-uffd", [rate])):
        (table,), (details,) = answer.text, answer.details
        _, row, *more = lines(table)  # type: ignore[arg-type]
        assert not more
        assert len(row) <= 80
        assert len(lines(details)) > 2  # type: ignore[arg-type]


def test_a_summary_breaks_between_words() -> None:
    _, summary, *_ = race_details(load_race("hugetlb-uffd")).text
    words = {word for line in lines(summary) for word in line.split()}  # type: ignore[arg-type]
    assert words == set(load_race("hugetlb-uffd").summary.split())


def test_a_name_in_the_first_column_stays_one_word() -> None:
    name = "minor-by-migration-shared"
    assert len(lines(Table(("workload", "what"), [(name, "word " * 40)]))) > 2
    rows = [(name, "one two " * 20, "three four " * 20)]
    assert any(name in row for row in lines(Table(("workload", "a", "b"), rows)))
    _, _, _, workloads = race_details(load_race("hugetlb-uffd")).text
    shown = " ".join(lines(workloads))  # type: ignore[arg-type]
    assert all(one.name in shown for one in load_race("hugetlb-uffd").workload)


def test_verdicts_on_several_paths_fit_80_columns() -> None:
    rate = "73 of 73 (0.951 .. 1.000)"
    rows = [("write-protect", "INCONCLUSIVE", rate, rate), ("minor", "FIXED", rate, rate)]
    table = Table(
        ("path", "verdict", "before failed (rate, 95 %)", "after failed (rate, 95 %)"), rows
    )
    made = lines(table)
    assert len(made) == 3
    assert made[1].split() == f"write-protect INCONCLUSIVE {rate} {rate}".split()
