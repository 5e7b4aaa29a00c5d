# SPDX-License-Identifier: GPL-2.0-only
"""Series and histories as bisections: which kernels they ask for, and what they answer."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes.executor import MadeRuns
from fakes.kerneltree import commit_all, git, make_kernel
from made_session import made_session
from mmrace.bisect import case
from mmrace.bisect.engine import Bisection
from mmrace.bisect.loop import drive
from mmrace.bisect.search import Costs
from mmrace.bisect.values import Answer, Settings
from mmrace.building.request import Request
from mmrace.definitions import base as base_module
from mmrace.definitions.race import load_race
from mmrace.errors import BuildError, UserError
from mmrace.experiments import bisection
from mmrace.experiments.bisection import KernelCases
from mmrace.experiments.work import Work
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome
from mmrace.runs import kernels as kernels_module
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.sources.tree import add_tree

BUG = Judgement(Outcome.CRASH, "bug", signature_matched=True)
BASE = """name = "6.1"
versions = ">=6.1, <6.2"
tested = "6.1.192"
"""


class Toy:
    """A kernel of five commits whose content says whether it fails; nothing is compiled."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.home = Home(top / "cache", top / "data")
        self.repo = make_kernel(top / "linux")
        self.ids = [git(self.repo, "rev-parse", "HEAD")]
        add_tree(self.home, "toy", str(self.repo), None, str)
        for number in range(1, 6):
            (self.repo / "mm" / f"new{number}.c").write_text(f"int new{number};\n")
            self.ids.append(commit_all(self.repo, f"mm: new {number}"))
        (top / "patches/6.1").mkdir(parents=True)
        (top / "patches/6.1/BASE.toml").write_text(BASE)
        (top / "patches/make.toml").write_text("")
        monkeypatch.setattr(base_module, "data_dir", lambda _kind: top / "patches")
        monkeypatch.setattr(kernels_module, "build_kernel", self.build)
        monkeypatch.setattr(
            bisection, "built_among", lambda _home, trees, _base, _config: set(trees)
        )
        self.built: list[str] = []
        self.failing: str = "mm/new3.c"
        self.unbuildable: str = "nothing"

    def build(self, _home: Home, request: Request, _progress: object) -> object:
        commit = request.commit
        files = git(self.home.trees / "store.git", "ls-tree", "-r", "--name-only", commit).split()
        if self.unbuildable in files and "mm/new5.c" not in files:
            raise BuildError("the kernel did not build: mm/walk.c:1: oh")
        self.built.append(commit)
        return type(
            "Kernel", (), {"id": commit, "reused": True, "files": files, "dropped": "", "notes": ()}
        )()

    def make(self, built: Built, _seed: int, _slot: str) -> object:
        failed = self.failing in built.kernel.files  # type: ignore[attr-defined]
        judged = BUG if failed else Judgement(Outcome.PASS)
        return SimpleNamespace(judgement=lambda: judged, channel=lambda: b"# start w\n")

    def kernels(self) -> KernelCases:
        work = Work.choose(load_race("hugetlb-uffd"), RunOptions())
        session = made_session(self.home, executor=MadeRuns(self.monkeypatch, self.make))
        return KernelCases(session, work, Costs(10, 1, 1))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    return Toy(tmp_path, monkeypatch)


def answer(made: case.Case, log: Path) -> Answer:
    bisection = Bisection(made.model, Settings(learn_failures=3), made.ready)
    return drive(bisection, made.probe, log, most=200)


def test_the_commit_of_a_history_is_named(toy: Toy, tmp_path: Path) -> None:
    made = toy.kernels().commits(toy.repo, toy.ids[0], toy.ids[-1])
    assert set(made.ready) == set(toy.ids[1:])
    found = answer(made, tmp_path / "log")
    assert found.culprit == toy.ids[3]
    assert found.confirmed
    assert made.title(toy.ids[3]) == f"{toy.ids[3][:12]} mm: new 3"
    assert len(toy.built) == len(set(toy.built)) == found.builds


def test_commits_that_do_not_build_are_skipped_and_named_as_suspects(
    toy: Toy, tmp_path: Path
) -> None:
    toy.unbuildable = "mm/new3.c"  # commits 3 and 4
    found = answer(toy.kernels().commits(toy.repo, toy.ids[0], toy.ids[-1]), tmp_path / "log")
    assert found.culprit is None
    assert {name for name, _ in found.suspects} == set(toy.ids[3:])


def test_the_patch_of_a_series_is_named(toy: Toy, tmp_path: Path) -> None:
    kernels, series = toy.kernels(), f"{toy.repo}#{toy.ids[0]}..{toy.ids[-1]}"
    assert [patch.subject for patch in kernels.read("toy", series).patches][2] == "mm: new 3"
    made = kernels.patches("toy", (), series, fix=False)
    found = answer(made, tmp_path / "log")
    assert found.culprit == "0,1,2"
    assert made.title("0,1,2") == "0,1,2 mm: new 3"
    toy.failing = "mm/walk.c"  # all kernels
    fixes = kernels.patches("toy", (), series, fix=True)
    assert fixes.name != made.name
    assert answer(fixes, tmp_path / "other").culprit is None


def test_a_tree_that_is_no_repository_needs_a_series(toy: Toy) -> None:
    with pytest.raises(UserError, match="--series"):
        toy.kernels().commits(Path("debian:6.1"), "a", "b")
