# SPDX-License-Identifier: GPL-2.0-only
"""A race of the user's own: made from the template, found, buildable, and apart from mmrace's."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from made_session import quiet_step
from mmrace.cli import cli
from mmrace.data import data_dir, use_races
from mmrace.definitions.base import base_for
from mmrace.definitions.race import find_race, load_race, race_dir, race_names
from mmrace.errors import NotHereError, UserError
from mmrace.home import Home
from mmrace.patching.series import resolve_series
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.template import new_race

GUEST = data_dir("qemu") / "guest"


@pytest.fixture
def home(tmp_path: Path):
    made = Home(tmp_path / "cache", tmp_path / "data")
    use_races((tmp_path / "mmrace-races", made.races))
    yield made
    use_races(())


def test_a_new_race_is_found_and_says_what_is_still_to_do(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)
    race = load_race("my-race")
    assert race_dir("my-race") == folder
    assert race.title.startswith("TODO")
    assert race.demo is False
    assert (folder / race.workload[0].sources[0]).is_file()
    assert "{" + "{" not in "".join(path.read_text() for path in folder.iterdir())


def test_its_stressor_compiles_without_a_warning_and_holds(home: Home, tmp_path: Path) -> None:
    folder = new_race(home, "my-race", home.races)
    program = tmp_path / "program"
    words = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", GUEST, "-o", program]
    subprocess.run([*words, folder / "my-race.c"], check=True)
    said = subprocess.run([program], capture_output=True, text=True, timeout=30, check=False)
    if "broken: sched_setaffinity" in said.stdout:
        pytest.skip("two CPUs absent: the stressor pins its sides to CPU 0 and 1")
    assert said.returncode == 0, said.stdout
    counts = dict(line.split()[2:4] for line in said.stdout.splitlines() if " count " in line)
    least = load_race("my-race").workload[0].exercised
    assert all(int(counts[name]) >= count for name, count in least.items()), said.stdout


def test_a_race_beside_the_users_work_is_found_too(home: Home, tmp_path: Path) -> None:
    new_race(home, "beside", tmp_path / "mmrace-races")
    assert "beside" in race_names()


@pytest.mark.parametrize("name", ["Upper", "1st", "a/b", "..", "white space", ""])
def test_a_name_that_cannot_be_one_is_refused(home: Home, name: str) -> None:
    with pytest.raises(UserError, match="no name for a race"):
        new_race(home, name, home.races)


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="khugepaged-retract already"):
        new_race(home, "khugepaged-retract", home.races)
    (tmp_path / "here" / "mine").mkdir(parents=True)
    with pytest.raises(UserError, match="is there already"):
        new_race(home, "mine", tmp_path / "here")
    assert not home.races.exists()


def test_two_races_of_one_name_are_an_error_that_names_both(home: Home, tmp_path: Path) -> None:
    for folder in (tmp_path / "mmrace-races", home.races):
        (folder / "twice").mkdir(parents=True)
        (folder / "twice" / "race.toml").touch()
    with pytest.raises(UserError, match=r"mmrace-races.*rename one"):
        find_race("twice")


def test_a_race_of_ones_own_leaves_the_kernels_as_they_are(home: Home) -> None:
    before = kernels.fragments()
    new_race(home, "aaa-first", home.races)
    assert kernels.fragments() == before


def test_the_command_says_where_it_is_and_what_to_do_next(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli, ["race", "new", "mine", "--into", "mmrace-races"])
    assert said.exit_code == 0, said.output
    assert "mmrace run --race mine" in said.output
    listed = CliRunner().invoke(cli, ["races", "--json"])
    use_races(())
    assert '"mine"' in listed.output


PATCHED = data_dir("races") / "pagemap-thp-split"
BASE = base_for("6.1.192")


def test_patches_beside_a_race_have_a_short_name() -> None:
    vulnerable, fixes = (
        resolve_series(f"{s}/{PATCHED.name}", BASE) for s in ("vulnerable", "fixes")
    )
    (taken_out,), (put_right,) = vulnerable.patches, fixes.patches
    assert taken_out.group == put_right.group == PATCHED.name
    assert taken_out.name != put_right.name
    assert fixes.opposite == vulnerable.patches  # what would fit where the fix is already there
    assert (vulnerable.name, vulnerable.outside, fixes.outside) == (
        "vulnerable/pagemap-thp-split",
        False,
        False,
    )


def test_so_have_those_of_a_users_race_which_stay_outside(home: Home) -> None:
    folder = new_race(home, "mine", home.races)
    with pytest.raises(UserError, match="no series 'fixes/mine'"):
        resolve_series("fixes/mine", BASE)
    shutil.copytree(PATCHED / "fixes", folder / "fixes")
    fixes = resolve_series("fixes/mine", BASE)
    assert (fixes.name, fixes.outside, fixes.opposite) == ("fixes/mine", True, ())
    assert [patch.group for patch in fixes.patches] == ["mine"]
    assert resolve_series("fixes/mine[1]", BASE).patches == fixes.patches
    with pytest.raises(UserError, match="no series 'vulnerable/mine'"):
        resolve_series("vulnerable/mine", BASE)


def test_the_patches_of_all_races_do_not_grow_by_it() -> None:
    for series in ("vulnerable", "fixes"):
        assert PATCHED.name not in {patch.group for patch in resolve_series(series, BASE).patches}


def test_the_patches_of_a_base_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = resolve_series("fixes/hugetlb-uffd", BASE)
    monkeypatch.setattr("mmrace.patching.series.find_race", lambda _name: PATCHED)
    assert resolve_series("fixes/hugetlb-uffd", BASE) == listed


def test_a_race_may_ask_for_more_than_the_kernels_of_all_have(home: Home) -> None:
    before = kernels.fragments()
    folder = new_race(home, "mine", home.races)
    path = folder / "race.toml"
    path.write_text('own_config = ["pageflags"]\n' + path.read_text())
    race = load_race("mine")
    assert race.fragments(("more",)) == ("pageflags", "more")
    assert kernels.fragments() == before


def test_a_kernel_that_it_does_not_show_on_is_refused(home: Home) -> None:
    race = load_race("pagemap-thp-split")
    kernel, applied = SimpleNamespace(id="k"), SimpleNamespace()
    plain = kernels.Built(SimpleNamespace(), (), applied, kernel)  # type: ignore[arg-type]
    assert not plain.suits(race)
    assert replace(plain, configs=("more", "pageflags")).suits(race)
    assert all(plain.suits(one) for one in map(load_race, race_names()) if one.shared)
    planner = Planner(home, quiet_step)
    with pytest.raises(NotHereError, match=r"a kernel of its own only \(pageflags\)"):
        planner.plan(plain, race, race.workload[0], RunOptions())
