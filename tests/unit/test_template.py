# SPDX-License-Identifier: GPL-2.0-only
"""A race of the user's own: made from the template, found, buildable, and apart from mmrace's."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from made_session import quiet_step
from mmrace import racecheck, template
from mmrace.building.kconfig import config_request
from mmrace.cli import cli
from mmrace.data import data_dir, use_races
from mmrace.definitions.base import base_for, load_bases
from mmrace.definitions.race import (
    Cost,
    Probe,
    Race,
    RacePath,
    Signature,
    Tolerated,
    Workload,
    find_race,
    load_race,
    race_dir,
    race_names,
)
from mmrace.definitions.window import Delays, Window
from mmrace.errors import NotHereError, UserError
from mmrace.home import Home
from mmrace.patching.series import resolve_series
from mmrace.runs import kernels
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner
from mmrace.symbols.resolve import Resolved
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
    done = subprocess.run([program], capture_output=True, text=True, timeout=30, check=False)
    if "broken: sched_setaffinity" in done.stdout:
        pytest.skip("two CPUs absent: the stressor pins its sides to CPU 0 and 1")
    assert done.returncode == 0, done.stdout
    counts = dict(line.split()[2:4] for line in done.stdout.splitlines() if " count " in line)
    least = load_race("my-race").workload[0].min_counts
    assert all(int(counts[name]) >= count for name, count in least.items()), done.stdout


def test_a_race_beside_the_users_work_is_found_too(home: Home, tmp_path: Path) -> None:
    new_race(home, "beside", tmp_path / "mmrace-races")
    assert "beside" in race_names()


@pytest.mark.parametrize("name", ["Upper", "1st", "a/b", "..", "white space", ""])
def test_a_name_that_cannot_be_one_is_refused(home: Home, name: str) -> None:
    with pytest.raises(UserError, match="not a name for a race"):
        new_race(home, name, home.races)


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="khugepaged-retract exists"):
        new_race(home, "khugepaged-retract", home.races)
    (tmp_path / "here" / "mine").mkdir(parents=True)
    with pytest.raises(UserError, match="exists; choose"):
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
    result = CliRunner().invoke(cli, ["race", "new", "mine", "--into", "mmrace-races"])
    assert result.exit_code == 0, result.output
    assert "mmrace run --race mine" in result.output
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


def test_patches_beside_a_race_are_those_of_the_trees_base() -> None:
    for base in load_bases():
        name = f"vulnerable/{PATCHED.name}"
        own = PATCHED / "vulnerable" / base.name
        assert (PATCHED.name in base.race) == own.is_dir(), base.name
        if own.is_dir():
            (patch,) = resolve_series(name, base).patches
            (there,) = own.glob("*.patch")
            assert patch.name == f"{PATCHED.name}/{there.name}"
            assert patch.diff.strip() in there.read_bytes()
    between = resolve_series(f"fixes/{PATCHED.name}", base_for("6.14.2"))
    assert (between.borrowed, [series.borrowed for series in between.instead]) == ("6.12", ["6.18"])


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
    with pytest.raises(NotHereError, match=r"a kernel of its own \(pageflags\)"):
        planner.plan(plain, race, race.workload[0], RunOptions())


def test_the_template_shows_every_key_that_there_is() -> None:
    text = (Path(template.__file__).parent / "templates/race/race.toml").read_text()
    tables = (Race, Signature, Workload, Tolerated, RacePath, Probe, Window, Delays, Cost)
    keys = {key for table in tables for key in table.model_fields}
    absent = {key for key in keys if not re.search(rf"^(# )?(\[\[?)?(\w+\.)?{key}\b", text, re.M)}
    # demo: of mmrace's own races; execution: of reproducers.
    assert absent - {"title", "report", "returns"} == {"demo", "execution"}


def test_a_race_without_min_counts_says_what_is_missing(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)
    text = (folder / "race.toml").read_text()
    for counts in ("[workload.min_counts]\n", ""):
        shorter = re.sub(r"\[workload\.min_counts\]\nrounds = \d+\ntaken = \d+\n", counts, text)
        assert shorter != text
        (folder / "race.toml").write_text(shorter)
        with pytest.raises(UserError) as caught:
            load_race("my-race")
        assert "workload.0.min_counts: " in caught.value.message
        assert "no min count" in caught.value.message
        assert "iterations = 1" in caught.value.message


def test_a_config_beside_the_race_is_in_its_own_kernel(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)
    text = (folder / "race.toml").read_text()
    own = '\nown_config = ["pageflags", "mine.config"]\nmachine ='
    (folder / "race.toml").write_text(text.replace("\nmachine =", own))
    (folder / "mine.config").write_text("CONFIG_ZSMALLOC=y\n")
    race = load_race("my-race")
    assert race.own_config == ("pageflags", str(folder / "mine.config"))
    request = config_request([*race.config, *race.own_config])
    assert request.fragments[-1].text == "CONFIG_ZSMALLOC=y\n"


def test_check_compiles_and_reads_without_a_kernel(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)

    def problems() -> dict[str, str]:
        checks = racecheck.check_race(home, load_race("my-race"), None, str)
        return {f"{check.kind} {check.name}": check.problem for check in checks}

    assert problems() == {"program my-race": ""}
    (folder / "witness.toml").write_text(WITNESS)
    assert problems()["witness witness.toml"] == ""
    (folder / "witness.toml").write_text(WITNESS.replace('"my-race"', '"another"', 1))
    assert "of race 'another'" in problems()["witness witness.toml"]
    (folder / "witness.toml").write_text(WITNESS.replace('workload = "my-race"', 'workload = "w"'))
    assert "no workload named 'w'" in problems()["witness witness.toml"]
    (folder / "my-race.c").write_text("int main(void) { return nothing; }\n")
    assert "nothing" in problems()["program my-race"]


WITNESS = """race = "my-race"
workload = "my-race"
machine = "numa2"
seed = 1
found_on = "0123456789abcdef"
release = "6.1.192"

[[step]]
actor = "a"
point = "entry of zap_pte_range"
"""


def test_check_looks_points_and_probes_up_in_one_kernel(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)
    text = (folder / "race.toml").read_text()
    window = '[[window]]\nname = "w"\nhold = "entry of gone"\nuntil = "entry of there"\n'
    probe = '[[probe]]\nname = "p"\nfunction = ["older", "there"]\n'
    (folder / "race.toml").write_text(f"{text}\n{window}\n{probe}")
    (folder / "witness.toml").write_text(WITNESS.replace("zap_pte_range", "gone"))
    race = load_race("my-race")

    class Kernel:
        def resolve(self, alternatives: tuple[str, ...]) -> Resolved:
            if "gone" in alternatives[0]:
                raise UserError(f"6.1.192 has no point {alternatives[0]!r}")
            return Resolved(alternatives[0], (0xFFFFFFFF81000000,))

    found = {check.name: check for check in racecheck.check_points(race, Kernel())}
    assert found["w: hold"].problem == "6.1.192 has no point 'entry of gone'"
    assert found["w: until"].note == "entry of there: 0xffffffff81000000"
    (found_witness,) = racecheck.check_witnesses(race, Kernel())
    assert found_witness.problem == "step 1 cannot be found; 6.1.192 has no point 'entry of gone'"
    kernel = SimpleNamespace(folder=folder)
    (folder / "System.map").write_text("ffffffff81000000 T there\nffffffff81000010 d older\n")
    (checked,) = racecheck.check_probes(race, kernel)
    assert (checked.problem, checked.note) == ("", "there")
    (folder / "System.map").write_text("ffffffff81000000 T other\n")
    (checked,) = racecheck.check_probes(race, kernel)
    assert checked.problem == "this kernel has no function older and no there"


def test_check_is_a_command_that_fails_when_something_is_wrong(home: Home) -> None:
    folder = new_race(home, "my-race", home.races)
    env = {"MMRACE_HOME": str(home.data.parent)}
    done = CliRunner().invoke(cli, ["race", "check", "my-race"], env=env, standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0), done.output
    (folder / "my-race.c").unlink()
    done = CliRunner().invoke(cli, ["race", "check", "my-race"], env=env, standalone_mode=False)
    assert done.return_value == 2
    assert "WRONG" in done.output
