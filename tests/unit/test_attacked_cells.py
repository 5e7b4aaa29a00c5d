# SPDX-License-Identifier: GPL-2.0-only
"""A matrix of verdicts: what its pairs call FIXED is attacked, or said not to be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from tests.unit.test_verifying import RACE, Kernels

from fakes.attacks import attacks
from made_session import made_session
from mmrace.cli import cli
from mmrace.experiments.attacked import WITNESS
from mmrace.experiments.matrix import Matrix, run_matrix
from mmrace.experiments.session import Session
from mmrace.runs.options import RunOptions
from mmrace.verdicts.grid import Cell, Column
from mmrace.verdicts.verdict import Arm

COLUMN = Column("t", ("fix",), ("bug",))


def cell(
    top: Path, monkeypatch: pytest.MonkeyPatch, attack: float, failing: dict[str, int]
) -> Cell:
    """Return the one cell of a matrix."""
    kernels = Kernels(top, monkeypatch, failing)
    arms = {
        arm: SimpleNamespace(kernel=SimpleNamespace(id=name, release="6.1.192"))
        for arm, name in ((Arm.BEFORE, "old"), (Arm.AFTER, "new"))
    }
    monkeypatch.setattr(Session, "arms", lambda *_: arms)
    monkeypatch.setattr(Session, "build", lambda *_: None)
    session = made_session(kernels.home, executor=kernels.executor)
    done: Matrix = run_matrix(session, [RACE], [COLUMN], RunOptions(), None, 0.001, attack)
    return done.cells[0]


@pytest.mark.parametrize(("failing", "word"), [(False, "FIXED"), (True, "NOT_FIXED")])
def test_a_cell_that_pairs_call_fixed_is_attacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool, word: str
) -> None:
    asked = attacks(monkeypatch, tmp_path, failing)
    found = cell(tmp_path, monkeypatch, 300.0, {"old": 1})
    assert asked == [300.0]
    assert (found.word, found.code) == (word, int(failing))
    assert ("; attack: NOT_FIXED: " if failing else "; attack: nothing found: ") in found.detail
    document: Any = found.as_json()
    assert document["verdict"] == word
    assert document["attack"]["schedules"] == 9
    run = found.runs[-1]
    assert run.id == "attacked"
    assert document["attack"]["witness"] == (str(run.folder / WITNESS) if failing else None)
    assert (run.folder / WITNESS).is_file() is failing


def test_a_cell_says_that_it_was_not_attacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = attacks(monkeypatch, tmp_path, failing=False)
    found = cell(tmp_path, monkeypatch, 0.0, {"old": 1})
    assert (asked, found.word, found.as_json()["attack"]) == ([], "FIXED", None)
    assert found.detail.endswith("; not attacked")


def test_a_cell_that_pairs_call_not_fixed_needs_no_attack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = attacks(monkeypatch, tmp_path, failing=False)
    found = cell(tmp_path, monkeypatch, 300.0, {"old": 1, "new": 1})
    assert (asked, found.word) == ([], "NOT_FIXED")
    assert "attack" not in found.detail


@pytest.mark.parametrize("words", [["--no-attack"], ["--attack-for", "5m"]])
def test_a_matrix_of_outcomes_attacks_nothing(words: list[str]) -> None:
    said = CliRunner().invoke(cli, ["matrix", "--tree", "t", *words])
    assert said.exit_code != 0
    assert "matrix without --before cannot honour --" in str(said.exception)
