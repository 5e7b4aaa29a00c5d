# SPDX-License-Identifier: GPL-2.0-only
"""README and docs are true: commands exist and run, files are valid, figures were measured."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from documents import DOCS, HOWS, PAGES, RUN, TOP, Block, blocks, run, to_run
from mmrace.ci.ciplan import Job
from mmrace.cli import cli
from mmrace.cli.document import error_document
from mmrace.definitions.base import Base
from mmrace.definitions.machine import Machine
from mmrace.definitions.race import Race
from mmrace.definitions.witness import Witness
from mmrace.runs.record import Spec

SHELL = [block for page in PAGES for block in blocks(page, "sh", "console")]
TOML = [block for page in PAGES for block in blocks(page, "toml")]
JSON = [block for page in PAGES for block in blocks(page, "json")]


def named(found: list[Block]) -> list[Any]:
    return [pytest.param(block, id=block.name) for block in found]


def test_there_is_something_to_test() -> None:
    assert len(SHELL) > 15
    assert len(TOML) > 3
    assert to_run("fast")
    assert to_run("slow")


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.name)) for page in RUN])
def test_each_shell_block_says_how_it_is_tested(page: Path) -> None:
    lacking = [block.name for block in blocks(page, "sh") if block.how not in HOWS]
    assert not lacking
    unnamed = [block.name for block in blocks(page, "")]
    assert not unnamed, "a block without a language is not tested"


@pytest.mark.parametrize("block", named(to_run("fast")))
def test_a_command_of_readme_or_tutorial_runs(block: Block, tmp_path: Path) -> None:
    codes, output = run(block, tmp_path, MMRACE_HOME=str(tmp_path / "home"))
    assert codes == block.codes, output


@pytest.mark.parametrize("block", named(SHELL))
def test_each_command_and_option_is_one_that_mmrace_has(block: Block) -> None:
    for words in block.commands():
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group):
            context = click.Context(command)
            if not rest or (rest[0].startswith("-") and command is cli):
                rest = _without_options(command, rest)
            found = command.get_command(context, rest[0]) if rest else None
            if found is None:
                assert command.invoke_without_command or rest == ["--help"], words
                break
            command, rest = found, rest[1:]
        context = click.Context(command)
        values, _, _ = command.make_parser(context).parse_args(rest)
        for option in command.params:
            if isinstance(option.type, click.Choice) and option.name in values:
                given = values[option.name]
                for value in given if isinstance(given, list) else [given]:
                    option.type.convert(value, option, context)


def _without_options(group: click.Group, words: list[str]) -> list[str]:
    return words[1:] if words and words[0] == "--json" else words


def _fits(text: str) -> bool:
    """Whether TOML is one of our files, or some tables of one."""
    content = tomllib.loads(text)
    for model in (Race, Machine, Witness, Job, Base):
        try:
            model.model_validate(content)
        except ValidationError:
            continue
        return True
    fields = Race.model_fields
    return bool(content) and all(
        key in fields and TypeAdapter(fields[key].annotation).validate_python(_frozen(value))
        for key, value in content.items()
    )


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("block", named(TOML))
def test_toml_is_valid_by_the_models(block: Block) -> None:
    assert _fits(block.text), block.text


@pytest.mark.parametrize("block", named(JSON))
def test_json_is_a_record_of_a_run_or_a_document(block: Block) -> None:
    content = json.loads(block.text)
    if "error" in content:
        error = content["error"]
        made = error_document(error["kind"], error["message"], error["exit"])
        assert content == {"schema": 1, **made}
    else:
        Spec.model_validate(content)


MEASURED = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((DOCS / "measurements").glob("*.md"))
)


def figures(text: str) -> list[str]:
    """Measured figures in prose: times, sizes, shares, and counts of a thousand and more."""
    prose = re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    units = r"s|min|ms|µs|h|days|GB|GiB|MB|MiB|%"
    kinds = (rf"\d[\d,.]* (?:{units})\b", r"\d[\d,]* of \d[\d,]*", r"\d{1,3},\d{3}")
    return [found for kind in kinds for found in re.findall(rf"(?<![\w.,-])({kind})", prose)]


def test_each_figure_in_readme_is_in_the_measurements() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    found = figures(text)
    assert len(found) >= 5, found
    assert not [figure for figure in found if figure not in MEASURED]


def test_each_transcript_in_readme_is_in_the_measurements() -> None:
    shown = blocks(TOP / "README.md", "text", "console")
    assert shown
    assert not [block.name for block in shown if block.text not in MEASURED]


def test_readme_is_short_and_has_one_picture() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 120
    assert len(re.findall(r"^!\[", text, re.MULTILINE)) == 1
    links = re.findall(r"\]\(([^)#]+)", text)
    assert not [link for link in links if not (TOP / link).exists()]


@pytest.mark.parametrize("model", [Race, Machine, Witness, Job], ids=lambda model: model.__name__)
def test_each_key_of_a_file_has_its_meaning(model: type[BaseModel]) -> None:
    whole = model.model_json_schema()
    lacking = [
        f"{table.get('title')}.{name}"
        for table in (whole, *whole.get("$defs", {}).values())
        for name, field in table.get("properties", {}).items()
        if not field.get("description") and "$ref" not in json.dumps(field)
    ]
    assert not lacking
