# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from mmrace.definitions import base as base_module
from mmrace.definitions.base import Base, base_for, load_bases, nearest_bases
from mmrace.errors import UserError

MAKE = '[[make]]\nversions = "<5.17"\nenv = { WERROR = "0" }\nwhy = "an old objtool"\n'
FILE = 'name = "{name}"\nversions = "{versions}"\ntested = "{name}.1"\n'


@pytest.fixture
def patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(base_module, "data_dir", lambda _kind: tmp_path)
    for name, versions in {"5.9": ">=5.7,<5.10", "6.1": ">=6.1,<6.2", "6.12": "==6.12.*"}.items():
        (tmp_path / name).mkdir()
        text = FILE.format(name=name, versions=versions)
        (tmp_path / name / "BASE.toml").write_text(text)
    (tmp_path / "make.toml").write_text(MAKE)
    return tmp_path


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("6.1.192", "6.1"),
        ("6.1.0", "6.1"),
        ("6.1.0-rc8", "6.1"),
        ("6.1.0-23-amd64", "6.1"),
        ("6.12.117", "6.12"),
        ("5.7.0", "5.9"),
        ("5.9.16", "5.9"),
    ],
)
def test_a_version_finds_its_base(patches: Path, version: str, name: str) -> None:
    assert base_for(version).name == name


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ("6.2.0", "6.1 6.12"),
        ("6.2.0-rc1", "6.1 6.12"),
        ("6.11.4", "6.12 6.1"),
        ("6.0.1", "6.1 5.9"),
        ("7.0.1", "6.12"),
        ("4.19.1", "5.9"),
    ],
)
def test_a_version_that_no_base_covers_has_one_without_patches(
    patches: Path, version: str, nearest: str
) -> None:
    base = base_for(version)
    assert (base.name, base.covered, base.race) == (version[: version.rindex(".")], False, {})
    assert base.includes(version)
    assert base.covers("any race")
    assert base.note(version) == ""
    assert " ".join(near.name for near in nearest_bases(version)) == nearest


def test_what_make_needs_hangs_on_the_version_not_on_the_base(patches: Path) -> None:
    path = patches / "5.9" / "BASE.toml"
    path.write_text(path.read_text() + '[build]\nenv = { CC = "gcc-11" }\n')
    envs = {version: base_for(version).build.env for version in ("4.19.1", "5.9.1", "6.1.1", "7.3")}
    assert envs == {
        "4.19.1": {"WERROR": "0"},
        "5.9.1": {"WERROR": "0", "CC": "gcc-11"},
        "6.1.1": {},
        "7.3": {},
    }


def test_bases_are_sorted_as_versions(patches: Path) -> None:
    assert [base.name for base in load_bases()] == ["5.9", "6.1", "6.12"]


def test_another_point_release_is_said(patches: Path) -> None:
    base = base_for("6.1.195")
    assert base.note("6.1.1") == ""
    assert base.note("6.1.195") == "patches/6.1 was last verified on 6.1.1, this tree is 6.1.195"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('versions = "six"', "versions: .*no range of versions"),
        ('name = "6.2"', "name is '6.2'"),
        ('colour = "red"', "colour: Extra inputs"),
        ('[race.x]\npristine = "perhaps"', "race.x.pristine"),
    ],
)
def test_a_wrong_file_is_named(patches: Path, line: str, words: str) -> None:
    key = line.partition(" =")[0]
    lines = FILE.format(name="6.1", versions=">=6").splitlines()
    text = "\n".join([old for old in lines if not old.startswith(key)] + [line])
    (patches / "6.1" / "BASE.toml").write_text(text)
    with pytest.raises(UserError, match=rf"6\.1/BASE\.toml: {words}"):
        load_bases()


def test_a_base_knows_its_races() -> None:
    base = Base(
        name="6.1",
        versions=">=6.1",
        tested="6.1.1",
        race={"a": {"pristine": "has"}, "b": {"pristine": "never"}},  # type: ignore[dict-item]
    )
    assert [base.covers(race) for race in "abc"] == [True, False, False]
