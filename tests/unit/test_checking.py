# SPDX-License-Identifier: GPL-2.0-only
"""``check-series`` as b4 calls it, and ``run`` without a race, up to where kernels are built."""

import json
import os
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace

import pytest
from b4.review import checks as b4_checks
from click.testing import CliRunner

from fakes.executor import MadeRuns
from fakes.inbox import patches
from fakes.kerneltree import commit_all, git, make_kernel
from made_session import made_session
from mmrace.answers.answer import Answer
from mmrace.building.request import Request
from mmrace.cli import checking as cli_checking
from mmrace.cli import cli
from mmrace.cli import running as cli_running
from mmrace.errors import InfraError
from mmrace.experiments import checking, running
from mmrace.experiments.running import Runs
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome
from mmrace.patching.series import Applied, Series
from mmrace.progress import Tell
from mmrace.runs import kernels
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.sources.tree import Tree, add_tree
from mmrace.verdicts.verdict import Arm


def quiet(_: str) -> None:
    pass


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a series that changes hugetlb_fault(), and its start as tree ``toy``."""
    made = make_kernel(tmp_path / "repo")
    body = "int hugetlb_fault(void)\n{\n\treturn 1;\n}\n"
    (made / "mm/hugetlb.c").write_text(body)
    commit_all(made, "mm: start")
    git(made, "tag", "start")
    (made / "mm/hugetlb.c").write_text(body.replace("1", "2"))
    commit_all(made, "mm/hugetlb: return more")
    home = tmp_path / "home"
    monkeypatch.setenv("MMRACE_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(Path(checking.__file__).parents[2]))
    add_tree(Home(home / "cache", home / "data"), "toy", str(made), "start", quiet)
    return made


def b4_check(repo: Path, mail: bytes) -> list[dict[str, str]]:
    """Let b4 itself run the check on a mail, as `b4 review` does."""
    message = EmailMessage()
    head, _, body = mail.decode().partition("\n\n")
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        message[key] = value
    message.set_content(body)
    command = f"{sys.executable} -m mmrace check-series --tree toy"
    found: list[dict[str, str]] = b4_checks.run_series_checks(("x", message), [command], str(repo))
    return found


def test_b4_reads_why_a_series_cannot_be_checked(repo: Path) -> None:
    git(repo, "checkout", "-q", "start")
    (repo / "mm/walk.c").write_text("int gone;\n")
    first = commit_all(repo, "mm/walk: gone")
    (repo / "mm/walk.c").write_text("int more;\n")
    commit_all(repo, "mm/walk: more")
    mail = patches(repo, f"{first}..HEAD", 1)[0].text.encode()
    (found,) = b4_check(repo, mail)
    assert found["tool"] == "mmrace"
    assert found["status"] == "fail"
    assert "hunk 1 of mm/walk.c" in found["summary"]
    assert "int gone" in found["details"]
    assert set(found) == {"tool", "status", "summary", "url", "details"}


class Run:
    """A run of which check-series looks at little."""

    id = "20260101-x"

    def __init__(self, outcome: str) -> None:
        self.outcome = Outcome(outcome)

    def judgement(self) -> Judgement:
        return Judgement(self.outcome, "a title", exercised={"steps": (7, 5)})

    def spec(self) -> SimpleNamespace:
        return SimpleNamespace(workload=SimpleNamespace(name="storm"))


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All is real but the kernel's build, and runs: these have the outcomes of the list."""
    outcomes: list[str] = []
    kernel = SimpleNamespace(id="0" * 16, reused=True, dropped="", notes=(), release="6.1.192")
    monkeypatch.setattr(kernels, "build_kernel", lambda *_args: kernel)

    def run_workloads(_session: object, _built: object, race: object, *_rest: object) -> Runs:
        outcomes.append(race.name)  # type: ignore[attr-defined]
        names = [word for word in outcomes if word.isupper()]
        return Runs(tuple(Run(word) for word in names))  # type: ignore[misc]

    for module in (checking, running):
        monkeypatch.setattr(module, "run_workloads", run_workloads)
    monkeypatch.setattr(cli_checking, "report", lambda *_args: Path("/r/a.html"))
    return outcomes


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("PASS", "pass", 0),
        ("CRASH", "fail", 1),
        ("NOT_EXERCISED", "warn", 3),
        ("INFRA", "warn", 69),
    ],
)
def test_each_race_that_the_series_is_about_is_one_check(
    repo: Path, no_kernels: list[str], outcome: str, status: str, code: int
) -> None:
    no_kernels.append(outcome)
    words = ["check-series", "--tree", "toy", f"{repo}#start..main"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert json.loads(done.stdout) == [
        {
            "tool": "mmrace/hugetlb-uffd",
            "status": status,
            "summary": f"storm: {outcome} a title",
            "url": "file:///r/a.html",
            "details": "steps 7 of 5\nrun 20260101-x",
        }
    ]
    assert done.return_value == code
    assert "race hugetlb-uffd: it changes hugetlb_fault (mm/hugetlb.c)" in done.stderr


def test_a_thread_that_b4_tracks_is_taken_from_its_repository(
    repo: Path, no_kernels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_kernels.append("PASS")
    thread = patches(repo, "start..main", 1, cover="About it.")
    (tmp_path / "mbox").write_text("".join(mail.mbox for mail in thread))
    blob = git(repo, "hash-object", "-w", str(tmp_path / "mbox"))
    (tmp_path / "tracking").write_text(json.dumps({"series": {"thread-blob": blob}}))
    monkeypatch.setenv("B4_TRACKING_FILE", str(tmp_path / "tracking"))
    monkeypatch.chdir(repo)
    words = ["check-series", "--tree", "toy"]
    done = CliRunner().invoke(cli, words, input=thread[0].text, standalone_mode=False)
    assert [item["status"] for item in json.loads(done.stdout)] == ["pass"]
    (tmp_path / "tracking").write_text("{")
    done = CliRunner().invoke(cli, words, input=thread[0].text, standalone_mode=False)
    assert "not what b4 writes" in json.loads(done.stdout)[0]["summary"]


def test_none_fits_and_what_cannot_be_told_are_warnings(
    repo: Path, no_kernels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "mm/other.c").write_text("int other(void)\n{\n\treturn 7;\n}\n")
    commit_all(repo, "mm: other")
    words = ["check-series", "--tree", "toy", f"{repo}#HEAD~1..HEAD"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    (found,) = json.loads(done.stdout)
    assert (found["status"], done.return_value) == ("warn", 0)
    assert "no race matches this series: it changes other" in found["summary"]
    run = CliRunner().invoke(
        cli, ["run", "--tree", "toy", "--series", words[-1]], standalone_mode=False
    )
    assert (
        str(run.exception) == "no race matches this series: it changes other; name one with --race"
    )

    def broken(*_args: object) -> None:
        raise InfraError("gcc missing")

    monkeypatch.setattr(kernels, "build_kernel", broken)
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    (found,) = json.loads(done.stdout)
    assert (found["status"], found["summary"]) == ("warn", "cannot tell: gcc missing")
    assert not no_kernels


def test_run_without_a_race_takes_what_the_series_is_about(
    repo: Path, no_kernels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_running.answers, "new_runs", lambda *_args, **_named: Answer({}))
    words = ["run", "--tree", "toy", "--series", f"{repo}#start..main"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert no_kernels == ["hugetlb-uffd"], done.exception
    assert "race hugetlb-uffd: it changes hugetlb_fault (mm/hugetlb.c)" in done.stderr


def test_a_race_that_the_series_is_about_gets_the_kernel_that_it_shows_on(
    repo: Path, no_kernels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "fs/proc").mkdir(parents=True)
    (repo / "fs/proc/task_mmu.c").write_text("int smaps_account(void)\n{\n\treturn 7;\n}\n")
    commit_all(repo, "fs/proc: count")
    fragments: list[tuple[str, ...]] = []
    built = kernels.build_kernel

    def build_kernel(home: Home, request: Request, progress: Tell) -> object:
        fragments.append(tuple(Path(one.name).stem for one in request.config.fragments))
        return built(home, request, progress)

    monkeypatch.setattr(kernels, "build_kernel", build_kernel)
    monkeypatch.setattr(cli_running.answers, "new_runs", lambda *_args, **_named: Answer({}))
    series = f"{repo}#HEAD~1..HEAD"
    for words in (["run", "--tree", "toy", "--series", series], ["check-series", "--tree", "toy"]):
        given = [] if words[0] == "run" else [series]
        CliRunner().invoke(cli, words + given, standalone_mode=False, catch_exceptions=False)
    assert no_kernels == ["pagemap-thp-split"] * 2
    assert ["pageflags" in one for one in fragments] == [False, True] * 2


def test_each_kernel_of_a_comparison_takes_one_application_of_its_series(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[list[str]] = []
    apply_series = kernels.apply_series

    def counted(home: Home, tree: Tree, series: Sequence[Series], tell: Tell) -> Applied:
        applied.append([one.name for one in series])
        return apply_series(home, tree, series, tell)

    def build_kernel(_home: Home, request: Request, _progress: Tell) -> object:
        return SimpleNamespace(id=request.commit, reused=True, dropped="", notes=())

    monkeypatch.setattr(kernels, "apply_series", counted)
    monkeypatch.setattr(kernels, "build_kernel", build_kernel)
    session = made_session(Home.from_environment(os.environ))
    series = f"{repo}#start..main"
    arms = session.arms("toy", (), (series,), RunOptions())
    assert sorted(map(len, applied)) == [0, 1]
    assert arms[Arm.AFTER].kernel.id != arms[Arm.BEFORE].kernel.id


def test_verify_each_names_the_first_bad_patch_of_a_real_series(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "mm/other.c").write_text("int other(void)\n{\n\treturn 7;\n}\n")
    commit_all(repo, "mm: other")
    (repo / "mm/more.c").write_text("int more;\n")
    commit_all(repo, "mm: more")
    monkeypatch.setattr(
        kernels,
        "build_kernel",
        lambda _home, request, _progress: SimpleNamespace(
            id=request.commit, reused=True, warnings=(), dropped="", notes=()
        ),
    )
    seen: list[tuple[str, ...]] = []

    def make(built: Built, _seed: int, _slot: str) -> object:
        seen.append(built.applied.applied)
        bad = len(built.applied.applied) == 2
        judged = Judgement(Outcome.CRASH if bad else Outcome.PASS, "a title" if bad else "")
        return SimpleNamespace(judgement=lambda: judged)

    made = MadeRuns(monkeypatch, make)
    monkeypatch.setattr("mmrace.executors.place.LocalExecutor", lambda *_args: made)
    series = f"{repo}#start..main"
    words = ["--json", "verify", "--each", "--tree", "toy", "--before", "none", "--after", series]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.return_value == 1, done.exception
    document = json.loads(done.stdout)
    assert document["race"] == "hugetlb-uffd"  # which patch 1 is about
    assert (document["patches"], document["first_bad"]) == (3, 2)
    assert [(one["patch"], one["holds"]) for one in document["each"]] == [
        ("mm/hugetlb: return more", True),
        ("mm: other", False),
    ]
    assert document["each"][1]["why"] == "CRASH a title"
    assert [len(applied) for applied in seen] == [0, 1, 2]
