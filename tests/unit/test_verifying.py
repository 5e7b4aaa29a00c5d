# SPDX-License-Identifier: GPL-2.0-only
"""The campaign behind ``verify``, with kernels that a test has made."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from made_runs import FAILED, made_run
from mmrace.cli import cli, verifying
from mmrace.cli.app import App
from mmrace.cli.verifying import campaign_of
from mmrace.definitions.race import load_race, race_dir
from mmrace.definitions.witness import load_witness
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.runs.trial import Trial
from mmrace.verdicts.verdict import Arm, Rules, Verdict


class Kernels:
    """Two kernels, of which the one named fails as often as it says."""

    def __init__(self, top: Path, failing: dict[str, int]) -> None:
        self.top, self.failing = top, failing
        self.app = App(Home(top / "cache", top / "data"), as_json=False)
        self.sides = {Arm.BEFORE: "old", Arm.AFTER: "new"}
        self.made: list[tuple[str, int]] = []

    def make(self, built: str, seed: int) -> Trial:
        self.made.append((built, seed))
        every = self.failing.get(built, 0)
        turn = sum(one == built for one, _ in self.made)
        channel = {"channel": FAILED} if every and turn % every == 0 else {}
        run = made_run(self.top, name=f"run-{len(self.made)}", **channel)
        return Trial(run.judgement(), run=run)

    def campaign(self, **rules: float) -> verifying.Done:
        return campaign_of(self.app, Rules(**rules), self.sides, self.make)  # type: ignore[arg-type]


def test_runs_are_made_in_pairs_of_one_seed_and_any_order(tmp_path: Path) -> None:
    kernels = Kernels(tmp_path, {"old": 1})
    done = kernels.campaign()
    assert done.said.verdict is Verdict.FIXED
    assert done.pairs == 10
    pairs = [kernels.made[at : at + 2] for at in range(0, len(kernels.made), 2)]
    assert len(pairs) == 10
    assert all({one[0] for one in pair} == {"old", "new"} for pair in pairs)
    assert all(pair[0][1] == pair[1][1] for pair in pairs)
    assert len({pair[0][1] for pair in pairs}) == 10
    assert {pair[0][0] for pair in pairs} == {"old", "new"}


def test_the_document_and_the_report_say_the_same(tmp_path: Path) -> None:
    done = Kernels(tmp_path, {"old": 1, "new": 3}).campaign()
    document = done.document("race")
    assert document["verdict"] == "NOT_FIXED"
    assert [run["side"] for run in document["runs"]].count("after") == 3  # type: ignore[index]
    verdict, curves = verifying._sections(done)
    assert "NOT_FIXED" in verdict.html
    assert "failed in 1 of 3 runs" in verdict.html
    assert "<svg" in curves.html


def test_a_smaller_ratio_takes_more_pairs(tmp_path: Path) -> None:
    assert Kernels(tmp_path, {"old": 1}).campaign(ratio=0.5).pairs == 18


def test_the_budget_ends_a_campaign_that_shows_nothing(tmp_path: Path) -> None:
    done = Kernels(tmp_path, {}).campaign(pairs=3)
    assert done.said.verdict is Verdict.INCONCLUSIVE
    assert done.document("race")["more_runs_at_least"] == 30  # the share may still be 0.7


def test_a_witness_of_another_race_is_bad_input(tmp_path: Path) -> None:
    witness = load_witness(race_dir("exec-stack-migration") / "witness.toml")
    app = App(Home(tmp_path / "cache", tmp_path / "data"), as_json=False)
    with pytest.raises(UserError, match="exec-stack-migration"):
        verifying._replays(app, load_race("hugetlb-uffd"), witness, None)


def test_a_witness_says_which_race_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[object] = []

    def build(_home: object, _tree: str, _series: object, configs: object, *_: object) -> None:
        built.append(configs)
        raise UserError("enough")

    monkeypatch.setattr(verifying.campaign, "build", build)
    witness = race_dir("exec-stack-migration") / "witness.toml"
    words = ["verify", "--witness", str(witness), "--tree", "t", "--config", "lockdep"]
    words += ["--before", "vulnerable", "--after", "fixes"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert str(done.exception) == "enough"
    assert built == [load_race("exec-stack-migration").fragments(["lockdep"])]


def test_both_kernels_have_what_is_asked_for_beside_the_races_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[tuple[object, ...]] = []

    def build(_home: object, _tree: str, *wanted: object) -> None:
        built.append(wanted[:2])
        if len(built) == 2:
            raise UserError("enough")

    monkeypatch.setattr(verifying.campaign, "build", build)
    words = ["verify", "--race", "exec-stack-migration", "--tree", "t", "--config", "lockdep"]
    words += ["--before", "vulnerable", "--after", "fixes"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert str(done.exception) == "enough"
    own = load_race("exec-stack-migration").fragments(["lockdep"])
    assert "lockdep" in own
    assert built == [(("vulnerable",), own), (("vulnerable", "fixes"), own)]
