# SPDX-License-Identifier: GPL-2.0-only
"""The wheel holds what works outside a checkout, and its manual page is the commands' own."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import click
import pytest

from mmrace.cli import cli

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in out.iterdir()] == [".whl"]
    return zipfile.ZipFile(next(out.iterdir()))


def test_the_wheel_has_all_data(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    kinds = {
        "races": TOP / "harness" / "races",
        "patches": TOP / "patches",
        "configs": TOP / "configs",
        "qemu": TOP / "qemu",
    }
    for kind, folder in kinds.items():
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in (".o", ".so"):
                assert f"mmrace/_data/{kind}/{path.relative_to(folder)}" in names
    assert "mmrace/_data/packages.txt" in names
    assert "mmrace/templates/race/race.toml" in names


def test_the_wheel_brings_manual_completion_and_plugin(wheel: zipfile.ZipFile) -> None:
    shared = {name.partition(".data/data/")[2] for name in wheel.namelist()}
    assert {
        "share/man/man1/mmrace.1",
        "share/bash-completion/completions/mmrace",
        "share/zsh/site-functions/_mmrace",
        "share/fish/vendor_completions.d/mmrace.fish",
        "share/doc/mmrace/howto/new-race.md",
    } <= shared
    entries = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(entries).decode()
    assert "mmrace = mmrace.cli:main" in text
    assert "[pytest11]\nmmrace = mmrace.plugin" in text


def test_nothing_but_pyproject_says_the_version(wheel: zipfile.ZipFile) -> None:
    version = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.filename
    assert f"-{version}-" in wheel.filename
    page = next(name for name in wheel.namelist() if name.endswith("mmrace.1"))
    assert f"mmrace {version}" in wheel.read(page).decode()
    sources = [*TOP.glob("harness/mmrace/**/*.py"), TOP / "hatch_build.py", TOP / "Makefile"]
    assert not [path for path in sources if f'"{version}"' in path.read_text()]


def render(top: click.Group, name: str, version: str) -> str:
    """Return the page as the build of a wheel makes it; its module is no part of the package."""
    found = importlib.util.spec_from_file_location("manual", TOP / "harness/manual.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    made: str = module.render(top, name, version)
    return made


def commands(group: click.Group, *before: str) -> list[str]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        found.append(" ".join((*before, name)))
        if isinstance(command, click.Group):
            found += commands(command, *before, name)
    return found


def test_the_manual_has_every_command() -> None:
    page = render(cli, "mmrace", "1").replace("\\-", "-")
    sections = re.findall(r"^\.SS (.*)$", page, re.MULTILINE)
    groups = {"mmrace tree", "mmrace race"}  # they do nothing alone
    assert set(commands(cli, "mmrace")) - groups <= set(sections)
    assert "\\fB--bisect-exit\\fR" in page


def test_roff_has_nothing_to_say_about_the_manual(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    if not groff:
        pytest.skip("groff absent")
    page = tmp_path / "mmrace.1"
    page.write_text(render(cli, "mmrace", "1"), encoding="utf-8")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-Kutf8", "-ww", "-z", page],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@click.command()
@click.argument("what")
@click.option("--back\\slash", "odd", help=".starts with a dot")
def _odd(what: str, odd: str) -> None:
    """Do 'this'.

    .not a request
    """


def test_what_is_special_to_roff_is_text() -> None:
    page = render(click.Group("top", {"odd": _odd}, help="Top - level."), "top", "1")
    assert "\\&.not a request" in page
    assert "\\&.starts with a dot" in page
    assert "\\fI[OPTIONS]\\fR \\fIWHAT\\fR" in page
