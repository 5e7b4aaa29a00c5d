# SPDX-License-Identifier: GPL-2.0-only
"""``mmrace bisect`` over a small repository whose test fails every other time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.kerneltree import git

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


def mmrace(tmp_path: Path, *argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmrace", "bisect", *map(str, argv)],
        env={**os.environ, "MMRACE_HOME": str(tmp_path / "home"), "PYTHONPATH": "harness"},
        capture_output=True,
        text=True,
        check=False,
    )


def bisect(
    tmp_path: Path, repo: Path, good: str, bad: str, failing: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "turns").mkdir(exist_ok=True)
    ends = ["--repo", repo, "--good", good, "--bad", bad, "--log", tmp_path / "log", "--json"]
    command = [sys.executable, "-c", TEST, tmp_path / "turns", *failing]
    return mmrace(tmp_path, *ends, "--", *command)


def test_the_planted_commit_is_found_and_the_repository_left_alone(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    before = sorted((one, one.stat().st_mtime_ns) for one in (path / ".git").rglob("*"))
    done = bisect(tmp_path, path, names[0], names[-1], NEWER)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["culprit"] == names[8]
    assert said["confirmed"]
    assert said["posterior"] >= 0.95
    assert "likeliest" in done.stderr
    assert "brings the failure" in done.stderr
    assert sorted((one, one.stat().st_mtime_ns) for one in (path / ".git").rglob("*")) == before
    runs = sum(int(turn.read_text()) for turn in (tmp_path / "turns").iterdir())
    assert runs == said["runs_total"] + sum(step["skipped"] for step in said["steps"])
    again = bisect(tmp_path, path, names[0], names[-1], NEWER)
    assert json.loads(again.stdout) == said
    assert f"{names[8]} is the first bad commit" in git(path, "bisect", "replay", tmp_path / "log")


def test_the_commit_that_ends_a_failure_is_found_when_the_bad_end_is_older(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    done = bisect(tmp_path, path, names[-1], names[0], OLDER)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["culprit"] == names[8]
    assert "ends the failure" in done.stderr


def test_a_failure_without_a_culprit_between_the_ends_is_not_found(
    tmp_path: Path, repo: tuple[Path, list[str]]
) -> None:
    path, names = repo
    done = bisect(tmp_path, path, names[0], names[-1], (*OLDER, *NEWER))
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert said["culprit"] is None
    assert said["no_culprit"] >= 0.95


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
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert all(name in last for name in names), last
