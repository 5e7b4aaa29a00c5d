# SPDX-License-Identifier: GPL-2.0-only
"""The pair loop behind ``verify``, ``matrix`` and ``ci``, with runs that a test has made."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from fakes.executor import MadeRuns
from made_runs import FAILED, made_run
from made_session import made_session
from mmrace.cli import cli
from mmrace.definitions.race import load_race, race_dir
from mmrace.definitions.witness import load_witness
from mmrace.errors import UserError
from mmrace.experiments.verification import Verification, Verified, works_of
from mmrace.home import Home
from mmrace.outcome import VmEnd
from mmrace.reports.verdict import sections
from mmrace.runs import kernels
from mmrace.runs.host import Host
from mmrace.runs.options import RunOptions
from mmrace.runs.record import RunDir
from mmrace.verdicts.verdict import Arm, Rules, Verdict

RACE = load_race("hugetlb-uffd")
DECIDED = RACE.paths("6.1.192").decided
PATHS = tuple(DECIDED)


class Kernels:
    """Two kernels, of which the one named fails as often as it says, on one path or on all."""

    def __init__(
        self,
        top: Path,
        monkeypatch: pytest.MonkeyPatch,
        failing: dict[str, int],
        slots: int = 1,
    ) -> None:
        self.top, self.failing = top, failing
        self.home = Home(top / "cache", top / "data")
        self.arms = {
            arm: SimpleNamespace(kernel=SimpleNamespace(id=name))
            for arm, name in ((Arm.BEFORE, "old"), (Arm.AFTER, "new"))
        }
        self.made: list[tuple[str, int, str]] = []
        self.spoilt = 0
        self.executor = MadeRuns(monkeypatch, self.make, slots)

    def make(self, built: Any, seed: int, slot: str) -> RunDir:
        kernel, path = built.kernel.id, slot.rpartition("/")[2].rsplit("-", 2)[0]
        self.made.append((kernel, seed, path))
        every = self.failing.get(f"{kernel} {path}", self.failing.get(kernel, 0))
        turn = sum((kernel, path) == (one, where) for one, _, where in self.made)
        fields: dict[str, Any] = {"channel": FAILED} if every and turn % every == 0 else {}
        if self.spoilt:
            self.spoilt -= 1
            fields = {"channel": "", "console": b"", "end": VmEnd.QEMU_DIED}
        name = f"run-{len(list(self.home.runs.glob('*')))}"
        return made_run(self.home.runs, name=name, slot=slot, **fields)

    def verify(self, workload: str | None = None, **rules: float) -> Verified:
        session = made_session(self.home, executor=self.executor)
        works, undecided = works_of(RACE, RunOptions(), "6.1.192", workload)
        made = Rules(**rules)  # type: ignore[arg-type]
        with Verification(session, self.arms, works, made, undecided) as one:  # type: ignore[arg-type]
            return one.run()


@pytest.fixture
def kernels_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda failing, slots=1: Kernels(tmp_path, monkeypatch, failing, slots)


@pytest.mark.parametrize("slots", [1, 3])
def test_every_path_is_decided_in_pairs_of_one_seed_and_any_order(
    kernels_: Any, slots: int
) -> None:
    kernels = kernels_({"old": 1}, slots)
    done = kernels.verify()
    assert done.statement.verdict is Verdict.FIXED
    assert [one.path for one in done.statement.paths] == list(PATHS)
    assert [one.discordant for one in done.statement.paths] == [10] * len(PATHS)
    assert [one.pair.index for one in done.pairs if one.pair.path == PATHS[0]] == list(range(10))
    assert {one.pair.order[0] for one in done.pairs} == set(Arm)
    made = [kernels.made[at : at + 2] for at in range(0, len(kernels.made), 2)]
    assert all({one[0] for one in pair} == {"old", "new"} for pair in made)
    assert all(pair[0][1:] == pair[1][1:] for pair in made)


def test_one_path_that_fails_is_not_fixed_and_named(kernels_: Any) -> None:
    done = kernels_({"old": 1, f"new {PATHS[-1]}": 3}).verify()
    assert done.statement.verdict is Verdict.NOT_FIXED
    assert PATHS[-1] in done.statement.reason
    document = done.document("race")
    assert document["verdict"] == "NOT_FIXED"
    verdicts = {one["path"]: one["verdict"] for one in document["paths"]}
    assert verdicts[PATHS[-1]] == "NOT_FIXED"
    assert sum(run["side"] == "after" for run in document["runs"]) == len(done.pairs)
    verdict, curves = sections(done.statement, done.runs)
    assert "NOT_FIXED" in verdict.html
    assert "failed" in verdict.html
    assert "<svg" in curves.html


def test_a_workload_narrows_the_verdict_and_the_verdict_says_so(kernels_: Any) -> None:
    first = PATHS[0]
    done = kernels_({"old": 1, f"new {PATHS[-1]}": 1}).verify(DECIDED[first].name)
    assert done.statement.verdict is Verdict.FIXED
    assert first in done.statement.line
    assert PATHS[-1] in done.statement.line


def test_a_smaller_ratio_takes_more_pairs(kernels_: Any) -> None:
    assert len(kernels_({"old": 1}).verify(DECIDED[PATHS[0]].name, ratio=0.5).pairs) == 18


def test_the_budget_ends_a_campaign_that_shows_nothing(kernels_: Any) -> None:
    done = kernels_({}).verify(DECIDED[PATHS[0]].name, pairs=3)
    assert done.statement.verdict is Verdict.INCONCLUSIVE
    assert done.document("race")["more_runs_at_least"] == 30  # the share may still be 0.7


@pytest.mark.parametrize(
    ("first", "second", "anew"),
    [
        ("x", "x", False),  # both arms by workers of one kind
        ("x", "y", True),
        ("x", None, True),  # one arm only: its partner may be made on another kind of host
        (None, None, False),  # one arm only, on this host
    ],
)
def test_a_pair_is_of_one_kind_of_host(
    kernels_: Any,
    monkeypatch: pytest.MonkeyPatch,
    first: str | None,
    second: str | None,
    anew: bool,
) -> None:
    kernels = kernels_({"old": 1})
    made = kernels.executor._make

    def killed(*cell: Any) -> Any:
        if len(kernels.made) == (2 if second else 1):
            raise KeyboardInterrupt
        run = made(*cell)
        if kind := (second if len(kernels.made) == 2 else first):
            host = Host(worker="w", host="h", qemu="7.2", cpu=kind, version="1")
            (run.folder / "worker.json").write_text(host.model_dump_json())
        return run

    monkeypatch.setattr(kernels.executor, "_make", killed)
    workload = DECIDED[PATHS[0]].name
    with pytest.raises(KeyboardInterrupt):
        kernels.verify(workload)
    there = {run.name for run in kernels.home.runs.iterdir()}
    monkeypatch.setattr(kernels.executor, "_make", made)
    done = kernels.verify(workload)
    counted = {run.id for _, run in done.runs}
    assert there.isdisjoint(counted) == anew
    assert len(counted) == len(done.runs) == 20
    assert len(list(kernels.home.runs.iterdir())) == 20 + anew * len(there)


def test_a_killed_campaign_goes_on_and_makes_what_the_host_spoilt_again(
    kernels_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = kernels_({"old": 1})
    kernels.spoilt = 2
    made = kernels.executor._make

    def killed(*cell: Any) -> Any:
        if len(kernels.made) == 7:
            raise KeyboardInterrupt
        return made(*cell)

    monkeypatch.setattr(kernels.executor, "_make", killed)
    workload = DECIDED[PATHS[0]].name
    with pytest.raises(KeyboardInterrupt):
        kernels.verify(workload)
    monkeypatch.setattr(kernels.executor, "_make", made)
    done = kernels.verify(workload)
    assert done.statement.verdict is Verdict.FIXED
    assert done.statement.paths[0].void == 0
    assert len(done.pairs) == 10
    # seven before the kill, of which two were spoilt and one had no partner yet
    assert len(kernels.made) == 7 + 20 - 5


def test_a_host_that_spoils_every_pair_ends_the_campaign(kernels_: Any) -> None:
    kernels = kernels_({"old": 1})
    kernels.spoilt = 1000
    done = kernels.verify()
    assert done.statement.exit_code == 69
    assert len(done.pairs) == 3


def test_a_witness_of_another_race_is_bad_input() -> None:
    witness = load_witness(race_dir("exec-stack-migration") / "witness.toml")
    with pytest.raises(UserError, match="exec-stack-migration"):
        works_of(RACE, RunOptions(), "6.1.192", None, witness)


def kernels_built(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[tuple[object, object]]:
    """Series and configs of the kernels that a command asks for."""
    built: list[tuple[object, object]] = []

    def build(_home: object, _tree: str, series: object, configs: object, *_: object) -> object:
        built.append((series, configs))
        if len(built) == 2:
            raise UserError("enough")
        return SimpleNamespace(kernel=SimpleNamespace(id="x"))

    monkeypatch.setattr(kernels, "prepare", lambda *_what, **_how: None)
    monkeypatch.setattr(kernels, "build", build)
    argv = ["verify", *words, "--tree", "t", "--before", "vulnerable", "--after", "fixes"]
    done = CliRunner().invoke(cli, argv, standalone_mode=False)
    assert str(done.exception) == "enough", done.exception
    return built


def test_a_witness_says_which_race_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    witness = race_dir("pagemap-thp-split") / "witness.toml"
    found = kernels_built(monkeypatch, "--witness", str(witness), "--config", "lockdep")
    own = load_race("pagemap-thp-split").fragments(["lockdep"])
    assert found == [(("vulnerable",), own), (("vulnerable", "fixes"), own)]


def test_both_kernels_have_what_is_asked_for_beside_the_races_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = kernels_built(monkeypatch, "--race", "pagemap-thp-split", "--config", "lockdep")
    own = load_race("pagemap-thp-split").fragments(["lockdep"])
    assert "lockdep" in own
    assert found == [(("vulnerable",), own), (("vulnerable", "fixes"), own)]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--machine", "one"), "--machine"),
        (("--steer",), "--steer"),
        (("--steer-by", "kprobe"), "--steer-by"),
        (("--workload", "missing-by-wp"), "--workload"),
    ],
)
def test_what_a_replay_cannot_honour_is_refused_by_name(
    words: tuple[str, ...], option: str
) -> None:
    witness = str(race_dir("hugetlb-uffd") / "witness.toml")
    argv = ["verify", "--witness", witness, *words, "--tree", "t"]
    done = CliRunner().invoke(
        cli, [*argv, "--before", "vulnerable", "--after", "fixes"], standalone_mode=False
    )
    assert isinstance(done.exception, UserError)
    assert done.exception.message.startswith(f"verify --witness cannot honour {option};")


def test_a_series_that_is_not_there_is_told_before_any_kernel_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(_home: Home, _tree: str, series: Any, *_rest: object, **_how: object) -> None:
        raise UserError(f"no such file: {series[-1]}")

    def build(*_what: object) -> None:
        raise AssertionError("a kernel was built")

    monkeypatch.setattr(kernels, "prepare", prepare)
    monkeypatch.setattr(kernels, "build", build)
    session = made_session(Home(tmp_path / "cache", tmp_path / "data"))
    with pytest.raises(UserError, match=r"no such file: fix\.ptch"):
        session.arms("t", ["vulnerable"], ["fix.ptch"], RunOptions())
