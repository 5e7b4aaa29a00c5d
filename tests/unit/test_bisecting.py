# SPDX-License-Identifier: GPL-2.0-only
"""``mmrace bisect`` over a small repository whose test fails every other time."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fakes.kerneltree import git
from mmrace.cli import cli
from mmrace.errors import UserError

# A turn of its own for each revision, so that a test run says the same every time.
TEST = """
import pathlib, sys
state = pathlib.Path("state").read_text()
turn = pathlib.Path(sys.argv[1]) / state
count = int(turn.read_text()) if turn.exists() else 0
turn.write_text(str(count + 1))
sys.exit(125 if state in ("03", "05") else count % 2 == 0 and state in sys.argv[2:])
"""
NEWER = tuple(f"{number:02d}" for number in range(8, 12))
OLDER = tuple(f"{number:02d}" for number in range(8))


@pytest.fixture
def repo(tmp_path: Path) -> tuple[Path, list[str]]:
    path, names = tmp_path / "repo", []
    path.mkdir()
    git(path, "init", "-q")
    for number in range(12):
        (path / "state").write_text(f"{number:02d}")
        git(path, "add", "state")
        git(path, "commit", "-qm", f"change {number}")
        names.append(git(path, "rev-parse", "HEAD"))
    return path, names


def mmrace(tmp_path: Path, *argv: object) -> Result:
    """Call it in this process: to start another for each call takes longer than the test."""
    env = {"MMRACE_HOME": str(tmp_path / "home")}
    return CliRunner().invoke(cli, ["bisect", *map(str, argv)], env=env, standalone_mode=False)


def bisect(
    tmp_path: Path, repo: Path, good: str, bad: str, failing: tuple[str, ...]
) -> tuple[int, dict[str, object], str]:
    (tmp_path / "turns").mkdir(exist_ok=True)
    ends = ["--repo", repo, "--good", good, "--bad", bad, "--log", tmp_path / "log", "--json"]
    command = [sys.executable, "-c", TEST, tmp_path / "turns", *failing]
    done = mmrace(tmp_path, *ends, "--", *command)
    assert done.exception is None, done.exception
    return done.return_value, json.loads(done.stdout), done.stderr


def test_the_planted_commit_is_found_and_the_repository_left_alone(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    before = sorted((one, one.stat().st_mtime_ns) for one in (path / ".git").rglob("*"))
    code, document, output = bisect(tmp_path, path, names[0], names[-1], NEWER)
    assert code == 0, output
    assert document["culprit"] == names[8]
    assert document["confirmed"]
    assert document["posterior"] >= 0.95
    assert "likeliest" in output
    assert "brings the failure" in output
    assert sorted((one, one.stat().st_mtime_ns) for one in (path / ".git").rglob("*")) == before
    runs = sum(int(turn.read_text()) for turn in (tmp_path / "turns").iterdir())
    assert runs == document["runs_total"] + sum(step["skipped"] for step in document["steps"])
    assert bisect(tmp_path, path, names[0], names[-1], NEWER)[1] == document
    assert f"{names[8]} is the first bad commit" in git(path, "bisect", "replay", tmp_path / "log")


def test_the_commit_that_ends_a_failure_is_found_when_the_bad_end_is_older(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    code, document, output = bisect(tmp_path, path, names[-1], names[0], OLDER)
    assert code == 0, output
    assert document["culprit"] == names[8]
    assert "ends the failure" in output


def test_a_failure_without_a_culprit_between_the_ends_is_not_found(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    code, document, output = bisect(tmp_path, path, names[0], names[-1], (*OLDER, *NEWER))
    assert code == 3, output
    assert document["culprit"] is None
    assert document["no_culprit"] >= 0.95


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (("--repo", "{repo}", "--good", "nowhere", "--bad", "HEAD", "--", "true"), ("nowhere",)),
        (("--good", "A", "--bad", "B"), ("--race", "--repo")),
        (("--repo", "{repo}", "--race", "hugetlb-uffd", "--", "true"), ("--good",)),
        (("--race", "hugetlb-uffd", "--tree", "debian:6.1"), ("--good", "--series")),
        (
            ("--race", "hugetlb-uffd", "--tree", "no-such", "--good", "A", "--bad", "B"),
            ("no-such", "--series"),
        ),
        (
            ("--race", "hugetlb-uffd", "--tree", "x", "--series", "fixes", "--good", "A"),
            ("--series", "--good"),
        ),
    ],
)
def test_ends_that_do_not_fit_together_are_bad_input(
    tmp_path: Path, repo: tuple[Path, list[str]], argv: tuple[str, ...], names: tuple[str, ...]
) -> None:
    done = mmrace(tmp_path, *(word.format(repo=repo[0]) for word in argv))
    assert isinstance(done.exception, UserError)
    assert all(name in done.exception.message for name in names), done.exception.message
