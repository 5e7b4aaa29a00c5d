# SPDX-License-Identifier: GPL-2.0-only
"""What ``mmrace`` and ``mmrace --help`` say, and what they may cost."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from made_runs import made_run
from mmrace.cli import cli
from mmrace.cli.commands import COMMANDS, SECTIONS

# Each takes longer to import than all of the help may take, or brings one that does.
HEAVY = ("rich", "scipy", "numpy", "matplotlib", "distributed", "pydantic", "jinja2", "elftools")


def commands(group: click.Group = cli, *before: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        assert command.name == name
        yield " ".join((*before, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


def test_help_groups_all_commands_and_fits_a_terminal() -> None:
    text = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    for title, names in SECTIONS.items():
        section = text.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  (\S+)", section, re.MULTILINE) == list(names)
    assert max(map(len, text.splitlines())) <= 80


def test_mmrace_alone_says_three_commands_to_try() -> None:
    done = CliRunner().invoke(cli, [])
    assert done.exit_code == 0
    tried = re.findall(r"^  mmrace (\S+)", done.output, re.MULTILINE)
    assert len(tried) == 3
    assert set(tried) <= set(COMMANDS)
    assert "mmrace --help" in done.output


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], HEAVY),
        ([], HEAVY),
        (["runs"], ("scipy", "numpy", "elftools", "mmrace.crash", "mmrace.patching")),
    ],
)
def test_a_quick_command_imports_nothing_heavy(
    words: list[str], heavy: tuple[str, ...], tmp_path: Path
) -> None:
    made_run(tmp_path / "data/runs")
    program = (
        "import sys; from mmrace.cli import cli\n"
        f"try: cli.main({words!r}, standalone_mode=False)\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MMRACE_HOME": str(tmp_path)},
    )
    assert words != ["runs"] or "PASS" in done.stdout
    assert not set(heavy) & set(done.stderr.split())


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_a_command_says_what_it_does_and_what_its_options_are(
    name: str, command: click.Command
) -> None:
    first = (command.help or "").partition("\n")[0]
    assert re.match(r"[A-Z][a-z]+ ", first), f"{name}: not an imperative: {first!r}"
    assert not re.match(r"(The|A|An|What|How|One|This) ", first), f"{name}: {first!r}"
    for option in command.params:
        if isinstance(option, click.Option):
            text = option.help or ""
            assert re.match(r"[A-Z0-9].*[.\]]$", text), f"{name} {option.opts[0]}: {text!r}"


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_the_help_of_a_command_fits_80_columns_and_says_each_default_once(name: str) -> None:
    text = CliRunner().invoke(cli, [*name.split(), "--help"], terminal_width=80).output
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\[default: [^]]*\]\s*\[default:", text)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("hunt", {"at_most", "steer", "steer_by"}),
        ("attack", {"at_most", "accel", "steer", "steer_by"}),
        ("replay", {"at_most", "machine", "steer", "steer_by", "seed"}),
        ("shell", {"seconds", "at_most", "steer", "steer_by", "ltp", "seed"}),
        ("demo", {"steer", "steer_by"}),
        ("cost", {"steer", "steer_by"}),
    ],
)
def test_a_command_has_no_option_without_an_effect(name: str, absent: set[str]) -> None:
    options = {option.name for option in dict(commands())[name].params}
    assert not options & absent
    assert {"boot", "configs", "lenient"} <= options
