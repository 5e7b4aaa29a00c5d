# SPDX-License-Identifier: GPL-2.0-only
"""What a hunt leaves for people: rows, and a schedule in columns in the report."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from made_runs import FAILED, made_run
from mmrace.answers.search import hunt_result
from mmrace.definitions.race import load_race
from mmrace.definitions.witness import Step
from mmrace.experiments.hunt import Hunted
from mmrace.experiments.hunter import Finding
from mmrace.guests.accel import Accel
from mmrace.hunting.proof import Proof, Proven
from mmrace.reports.hunt import rows, sections
from mmrace.reports.story import story
from mmrace.searching.explanation import Line
from mmrace.searching.search import Tried
from mmrace.windows.search import Tactics

RACE = load_race("khugepaged-retract")
LINES = (Line("V0", "entry of f<1>: waits there"), Line("V1", "goes on for 300 ms"))


def done(folder: Path, failed: int | None) -> Hunted:
    """A hunt whose witness failed in so many of 20 replays; None: it found nothing."""
    finding = None
    if failed is not None:
        replays: Any = [SimpleNamespace(failed=n < failed, shown=n < failed) for n in range(20)]
        order = (Step(actor="V0", point=("entry of f",)), Step(actor="V1", seconds=0.3))
        finding = Finding(Proven(order, SimpleNamespace(), Proof(tuple(replays), 1)), LINES)  # type: ignore[arg-type]
    tried = Tried(boots=3, schedules=120, armed=2.0, failures=1)
    run = made_run(folder, channel=FAILED)
    return Hunted(
        RACE, RACE.workload[0], Accel("tcg", ""), 2, 7, 60.0, Tactics(), tried, 900,
        first=1.5, control=0, finding=finding, runs=(run,),
    )  # fmt: skip


def test_a_proven_witness_is_told_with_its_replays(tmp_path: Path) -> None:
    found = dict(rows(done(tmp_path, 19), "r.toml"))
    assert found["witness r.toml"] == "19 of 20 replays failed"
    assert found["as many guests without the schedule"] == "1 failed"
    assert found["schedules"].startswith("120 in 3 boots, 60/s")
    assert found["race phases until the first failure"] == "1.5 s"


def test_one_that_is_not_proven_and_none_are_told_as_such(tmp_path: Path) -> None:
    assert "r.toml, not proven" in dict(rows(done(tmp_path / "a", 9), "r.toml"))
    assert not any("r.toml" in name for name, _ in rows(done(tmp_path / "b", None), "r.toml"))


def test_the_answer_has_a_report_of_its_boots(tmp_path: Path) -> None:
    one = done(tmp_path, 20)
    answer = hunt_result(one, Path("r.toml"), windows=False)
    assert answer.exit_code == 0
    assert answer.page
    assert answer.page.runs == one.runs
    assert "a witness of 2 steps" in answer.page.title
    json.dumps(answer.document)
    assert "Hunt" in sections(one)[0].title
    assert hunt_result(done(tmp_path / "b", None), Path("r"), windows=False).exit_code == 3


def test_a_schedule_has_a_column_for_each_vcpu() -> None:
    assert story(LINES) == (
        '<table class="schedule"><tr><th>V0</th><th>V1</th></tr>'
        "<tr><td>entry of f&lt;1&gt;: waits there</td><td></td></tr>"
        "<tr><td></td><td>goes on for 300 ms</td></tr></table>"
    )
    assert story(()) == ""
