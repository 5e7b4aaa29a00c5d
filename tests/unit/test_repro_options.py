# SPDX-License-Identifier: GPL-2.0-only
"""``--repro`` on the command line: what is refused before any kernel is built."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mmrace.cli import cli
from mmrace.definitions.race import FailsBy
from mmrace.definitions.reproducer import words_of
from mmrace.errors import UserError
from mmrace.experiments.reproducing import race_of
from mmrace.home import Home


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path / "home"))
    made = tmp_path / "repro.c"
    made.write_text("int main(void) { return 0; }\n")
    return made


def refused(*words: object) -> UserError:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert isinstance(done.exception, UserError), done.output
    return done.exception


COMMANDS = [
    ("run",),
    ("verify", "--after", "fixes"),
    ("matrix",),
    ("bisect", "--good", "a", "--bad", "b"),
    ("hunt",),
    ("cost", "--before", "none", "--after", "fixes"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_what_does_not_compile_ends_a_command_with_the_first_error(
    program: Path, command: tuple[str, ...]
) -> None:
    program.write_text("int main(void) { return wrong; }\n")
    refusal = refused(*command, "--tree", "debian:6.1", "--repro", program)
    assert refusal.exit_code == 2
    assert "does not compile: repro.c:1:" in refusal.message
    assert "error: 'wrong' undeclared" in refusal.message


def test_an_option_that_is_about_nothing_is_refused() -> None:
    refusal = refused("run", "--tree", "debian:6.1", "--procs", "2")
    assert "--procs" in refusal.message


def test_a_race_and_a_reproducer_are_one_too_many(program: Path) -> None:
    words = "run", "--tree", "debian:6.1", "--race", "hugetlb-uffd", "--repro", program
    assert "name one of them" in refused(*words).message


def test_a_run_says_the_command_that_makes_such_runs(program: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "cache", tmp_path / "data")
    race = race_of(home, [str(program)], "KASAN: .* in foo", 4, True, [FailsBy.EXIT])
    words = words_of(race)
    assert words[:3] == ["--repro", str(program), "--procs"]
    assert {"4", "--user", "--fails-by", "exit", "--crash"} < set(words)
    assert race_of(home, [str(program)]).name == race.name
