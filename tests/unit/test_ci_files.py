# SPDX-License-Identifier: GPL-2.0-only
"""docs/ci is true: files in form, jobs that read, commands that exist."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mmrace.ci.ciplan import cells_of, read_job
from mmrace.cli import cli

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
WORKFLOWS = [("github-actions.yml", "github-workflows"), ("gitlab-ci.yml", "gitlab-ci")]
COMMAND = re.compile(r"\.venv/bin/mmrace ([^\n>]*)")


@pytest.mark.parametrize(("name", "schema"), WORKFLOWS)
def test_a_workflow_is_in_the_form_of_its_schema(name: str, schema: str) -> None:
    words = ["--builtin-schema", f"vendor.{schema}", FOLDER / name]
    words += ["--data-transform", "gitlab-ci"] if schema == "gitlab-ci" else []
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(FOLDER.glob("mmrace*.toml")), ids=lambda path: path.name)
def test_a_job_reads_and_names_what_is_there(path: Path) -> None:
    job = read_job(path)
    for check in job.check:
        assert cells_of(check, "debian:6.1", "6.1.192")


def test_every_command_is_one_that_mmrace_has() -> None:
    found = 0
    for path in [*FOLDER.glob("*.yml"), FOLDER / "mmrace.service"]:
        for match in COMMAND.finditer(path.read_text(encoding="utf-8")):
            name, *words = shlex.split(match[1])
            command = cli.get_command(None, name)  # type: ignore[arg-type]
            assert command, match[0]
            command.make_context(name, words)
            found += 1
    assert found == 4


def test_the_keys_that_a_step_hands_on_are_the_ones_it_makes() -> None:
    steps = YAML(typ="safe").load(FOLDER / "github-actions.yml")["jobs"]["mmrace"]["steps"]
    keys = next(step for step in steps if step.get("id") == "mmrace")
    assert "--keys >>" in keys["run"]
    cache = next(step for step in steps if "cache" in step.get("uses", ""))
    assert cache["with"]["key"].startswith("${{ steps.mmrace.outputs.key }}-")


def test_systemd_has_nothing_to_say_about_its_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze absent")
    for name in ("mmrace.service", "mmrace.timer"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        text = text.replace("/opt/mmrace/.venv/bin/mmrace", "/bin/true")  # it has to be there
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / "mmrace.timer"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
