# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job: its file, its budget, its loop over a fake QEMU, its reports."""

import json
import os
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fakes.attacks import attacks
from made_session import made_session, quiet_step
from mmrace.building.kernel import Kernel
from mmrace.ci import ciplan, cireport
from mmrace.ci.budget import Need, next_share
from mmrace.ci.checks import Result, worst_exit_code
from mmrace.ci.ciplan import cache_key, cells_of, read_job
from mmrace.ci.unattended import Unattended
from mmrace.cli import cli
from mmrace.data import use_races
from mmrace.errors import BuildError, UserError
from mmrace.executors.local import LocalExecutor
from mmrace.home import Home
from mmrace.patching.series import Applied
from mmrace.runs import kernels as kernels_module
from mmrace.runs.kernels import Built
from mmrace.sources.tree import Tree
from mmrace.template import new_race

FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
START = """console booting
channel KTAP version 1
channel # release 6.1.192
channel # start mine
channel # out mmrace: race
channel # out mmrace: count rounds 400
channel # out mmrace: count taken 400
"""
HOLDS = START + "channel ok 1 - mine # exit=0 seconds=2.00\nchannel 1..1\nchannel # end\npoweroff\n"
FAILS = (
    START
    + "channel # out mmrace: fail a page lost what was written: 7\n"
    + "channel not ok 1 - mine # exit=1 seconds=2.00\nchannel 1..1\nchannel # end\npoweroff\n"
)
JOB = """
title = "a job"
budget = "1h"
alpha = 0.25

[[check]]
tree = "t"
races = "mine"
before = "bug"
after = "fix"
seconds = 1
accel = "tcg"
attack = false

[[check]]
tree = "t"
races = ["mine"]
series = ["bug", "fix"]
runs = 2
seconds = 1
accel = "tcg"
"""
TREE = Tree("t", "0" * 40, "1" * 40, "6.1.192", "t", "linux")


def decide(home, cells, note=str, executor=None, **clock):
    return Unattended(made_session(home, note, executor), **clock).run(cells)


class Counted(LocalExecutor):
    """Knows how many groups were under way at a time, at most."""

    def __init__(self, home, slots):
        super().__init__(home, quiet_step, slots)
        self.now = self.most = 0
        self.lock = threading.Lock()

    def _run(self, plan, step):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return super()._run(plan, step)
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture
def home(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qemu-system-x86_64").symlink_to(FAKE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made = Home.from_environment(os.environ)
    use_races((made.races,))
    new_race(made, "mine", made.races)
    yield made
    use_races(())


@pytest.fixture
def kernels(home, tmp_path, monkeypatch):
    """Kernels by series: a script for the fake QEMU, or an error. Counts what was asked for."""
    scripts = {("bug",): FAILS, ("bug", "fix"): HOLDS}
    series_built, configs_built = [], []

    def build(_home, tree, series, configs, *_more):
        series_built.append((tree, series))
        configs_built.append(configs)
        script = scripts[tuple(series)]
        if isinstance(script, Exception):
            raise script
        folder = home.kernels / "-".join(["kernel", *series])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bzImage").write_text(script)
        (folder / "config").write_text("CONFIG_SMP=y\n")
        kernel = Kernel(
            folder.name, "6.1.192", folder / "bzImage", folder, folder / "config", folder, 1, True
        )
        applied = Applied("0" * 40, "1" * 40, (), (), ())
        return Built(TREE, tuple(series), applied, kernel, configs=tuple(configs))

    monkeypatch.setattr(kernels_module, "build", build)
    monkeypatch.setattr("mmrace.ci.unattended.find_source", lambda *_: TREE)
    return scripts, series_built, configs_built


def job(text, tmp_path):
    path = tmp_path / "mmrace-ci.toml"
    path.write_text(text)
    return read_job(path)


def test_a_job_reads_as_it_is_written(tmp_path):
    read = job(JOB, tmp_path)
    assert read.budget == 3600
    assert read.check[0].before == ("bug",)
    assert read.check[0].tree == ("t",)
    assert ciplan.trees(read) == ("t",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget = '1h'\n", "check: Field required"),
        ("budget = 'soon'\n[[check]]\ntree = 't'\n", "is no duration"),
        ("budget = 1\n[[check]]\ntree = 't'\nbefore = 'x'\n", "before and after go together"),
        ("budget = 1\n[[check]]\ntree = 't'\nserie = 'x'\n", "check.0.serie"),
        (
            "budget = 1\n[[check]]\ntree = 't'\nbefore = 'x'\nafter = 'y'\nseries = 'z'\n",
            "without before and after",
        ),
    ],
)
def test_what_is_wrong_with_a_job_is_named(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        job(text, tmp_path)


def test_without_names_a_check_is_of_all_races_of_the_base(tmp_path):
    check = job("budget = 1\n[[check]]\ntree = 'debian:6.1'\n", tmp_path).check[0]
    found = cells_of(check, "debian:6.1", "6.1.192")
    assert {"khugepaged-retract", "hugetlb-uffd"} < {cell.race.name for cell in found}
    assert all(cell.race.shared for cell in found)
    assert len({cell.name for cell in found}) == len(found)
    assert found[0].series == ()


def test_the_cache_key_follows_the_job_and_the_tools(tmp_path):
    path = tmp_path / "mmrace-ci.toml"
    path.write_text(JOB)
    first = cache_key(path, ["gcc 12"])
    assert first == cache_key(path, ["gcc 12"])
    assert first != cache_key(path, ["gcc 13"])
    path.write_text(JOB + "# more\n")
    assert first != cache_key(path, ["gcc 12"])


needs = st.builds(
    Need,
    step=st.floats(0.1, 100),
    total=st.floats(0.1, 1000),
    begun=st.booleans(),
    done=st.booleans(),
)


@given(st.lists(needs, max_size=8), st.floats(0, 200))
def test_a_share_goes_to_somebody_who_can_use_it(needs, left):
    chosen = next_share(needs, left)
    able = [need for need in needs if not need.done and need.step <= left]
    assert (chosen is None) == (not able)
    if chosen is not None:
        assert needs[chosen] in able
        if all(need.begun for need in able):
            assert needs[chosen].total == min(need.total for need in able)
        else:
            assert not needs[chosen].begun


def test_shares_by_need_decide_more_cells_than_turns_would():
    left, wants = 100.0, {0: 90.0, 1: 30.0, 2: 20.0, 3: 25.0}
    had = dict.fromkeys(wants, 0.0)
    while True:
        needs = [Need(5, wants[n] - had[n], had[n] > 0, had[n] >= wants[n]) for n in wants]
        chosen = next_share(needs, left)
        if chosen is None:
            break
        had[chosen] += 5
        left -= 5
    assert [n for n in wants if had[n] >= wants[n]] == [1, 2, 3]
    assert sum(had.values()) == 100


@pytest.mark.whole
def test_a_job_decides_its_cells_and_builds_each_kernel_once(home, kernels, tmp_path):
    notes = []
    results = decide(home, job(JOB, tmp_path), notes.append)
    assert [result.word for result in results] == ["FIXED", "PASS"]
    assert results[0].reason.endswith("; not attacked")
    assert worst_exit_code(results) == 0
    assert kernels[1] == [("t", ("bug",)), ("t", ("bug", "fix"))]
    assert any("kernel kernel-bug-fix: t, bug + fix: reused" in note for note in notes)
    assert not cireport.blamed(results)


@pytest.mark.whole
@pytest.mark.parametrize("checks", [JOB, JOB.rpartition("[[check]]")[0]])
def test_a_job_uses_all_slots_for_the_same_answer(home, kernels, tmp_path, checks):
    """Cells side by side, or pairs of the one cell that there is."""
    kernels[0]["bug", "fix"] = HOLDS.replace("channel ok", "sleep 0.3\nchannel ok")
    executor = Counted(home, 3)
    results = decide(home, job(checks, tmp_path), executor=executor)
    executor.close()
    assert [result.word for result in results] == ["FIXED", "PASS"][: len(results)]
    assert executor.most == 3
    alone = decide(home, job(checks, tmp_path), executor=Counted(home, 1))
    assert [len(one.runs) for one in alone] == [len(one.runs) for one in results]


@pytest.mark.whole
def test_a_race_gets_the_kernel_that_it_asks_for(home, kernels, tmp_path):
    path = home.races / "mine" / "race.toml"
    path.write_text('own_config = ["pageflags"]\n' + path.read_text())
    decide(home, job(JOB, tmp_path))
    assert kernels[2] == [("pageflags",), ("pageflags",)]


@pytest.mark.whole
def test_a_fix_that_does_not_hold_is_blamed_by_its_own_runs(home, kernels, tmp_path):
    kernels[0]["bug", "fix"] = FAILS
    results = decide(home, job(JOB, tmp_path))
    assert [result.word for result in results] == ["NOT_FIXED", "FAIL"]
    assert worst_exit_code(results) == 1
    assert {run.spec().series for run in cireport.blamed(results)} == {("bug", "fix")}


ATTACKED = JOB.partition('[[check]]\ntree = "t"\nraces = [')[0].replace(
    "attack = false", "attack_for = 300"
)


@pytest.mark.whole
@pytest.mark.parametrize(("failing", "word"), [(False, "FIXED"), (True, "NOT_FIXED")])
def test_a_cell_that_pairs_call_fixed_is_attacked(
    home, kernels, tmp_path, monkeypatch, failing, word
):
    asked = attacks(monkeypatch, tmp_path, failing)
    (result,) = decide(home, job(ATTACKED, tmp_path))
    assert (result.word, result.exit_code) == (word, int(failing))
    assert asked == [300.0]
    assert result.attack["failure"] == ("wrong value at page 7" if failing else None)
    assert ("attack found nothing" in result.reason) is not failing
    assert ("attacked" in [run.id for run in result.blamed]) is failing
    assert "not attacked" not in result.reason
    assert "attacked" in {run.id for run in result.runs}


@pytest.mark.whole
def test_an_attack_begins_only_when_it_and_a_proof_fit_into_the_budget(
    home, kernels, tmp_path, monkeypatch
):
    asked = attacks(monkeypatch, tmp_path, failing=False)
    (result,) = decide(home, job(ATTACKED.replace('"1h"', '"9m"').replace("300", "301"), tmp_path))
    assert (asked, result.word, result.exit_code, result.attack) == ([], "INCONCLUSIVE", 3, None)
    assert "the attack could not be made: no time was left for it" in result.reason


def test_kernels_that_cannot_be_attacked_are_found_before_a_guest_runs(home, kernels, tmp_path):
    (result,) = decide(home, job(ATTACKED, tmp_path))
    assert (result.exit_code, result.runs) == (2, ())
    assert "CONFIG_DEBUG_INFO" in result.reason


def test_a_kernel_that_does_not_build_leaves_the_other_cells_alone(home, kernels, tmp_path):
    kernels[0]["bug",] = BuildError("mm/x.c: no such thing")
    results = decide(home, job(JOB, tmp_path))
    assert [(one.word, one.exit_code) for one in results] == [("NOT_BUILT", 4), ("PASS", 0)]
    assert worst_exit_code(results) == 4


def test_without_time_nothing_is_claimed(home, kernels, tmp_path):
    ticks = iter(range(0, 100_000, 1800))
    results = decide(home, job(JOB, tmp_path), clock=lambda: float(next(ticks)))
    assert {result.word for result in results} == {"INCONCLUSIVE"}
    assert worst_exit_code(results) == 3


@pytest.mark.whole
def test_reports_are_about_cells(home, kernels, tmp_path):
    results = decide(home, job(JOB, tmp_path))
    root = ElementTree.fromstring(cireport.junit(results))  # noqa: S314  our own
    assert [case.get("name") for case in root.iter("testcase")] == [
        "on t, bug -> bug + fix",
        "mine on t, bug + fix",
    ]
    assert root.get("failures") == "0"
    assert "FIXED" in cireport.markdown(results, "a job")
    assert cireport.annotations(results) == ()
    kernels[0]["bug", "fix"] = FAILS
    results = decide(home, job(JOB, tmp_path))
    root = ElementTree.fromstring(cireport.junit(results))  # noqa: S314
    assert root.get("failures") == "2"
    assert "a page lost" in next(root.iter("failure")).text
    assert cireport.annotations(results)[0].startswith("::error ")
    assert "<td>NOT_FIXED</td>" in cireport.table(results)


def test_a_cell_without_an_answer_is_a_warning_and_skipped(tmp_path):
    check = job("budget = 1\n[[check]]\ntree = 'x'\nraces = 'hugetlb-uffd'\n", tmp_path).check[0]
    cell = cells_of(check, "x", "6.1")[0]
    result = Result(cell, "INCONCLUSIVE", "no time, <b>", 3)
    assert cireport.annotations([result]) == (
        "::warning title=INCONCLUSIVE%3A hugetlb-uffd/missing-by-migration on x%2C as it is"
        "::no time, <b>",
    )
    assert "<skipped" in cireport.junit([result])
    assert "no time, &lt;b&gt;" in cireport.table([result])


@pytest.mark.whole
def test_the_command_writes_its_reports_and_ends_with_the_worst(home, kernels, tmp_path):
    kernels[0]["bug", "fix"] = FAILS
    job(JOB, tmp_path)
    result = CliRunner().invoke(
        cli, ["ci", "--out", "out", "--github", "--json"], standalone_mode=False
    )
    assert result.return_value == 1, result.output
    document = json.loads(result.stdout)
    assert [cell["result"] for cell in document["cells"]] == ["NOT_FIXED", "FAIL"]
    assert document["seconds_total"] >= document["seconds_guests"] > 0
    assert {path.name for path in Path("out").iterdir()} == {
        "report.html",
        "junit.xml",
        "summary.md",
    }
    assert "::error" in result.stderr
    assert document["key"] in result.stderr


def test_keys_need_nothing_but_the_job(home, tmp_path):
    job(JOB, tmp_path)
    result = CliRunner().invoke(cli, ["ci", "--keys"])
    assert result.exit_code == 0
    assert result.output.startswith("key=mmrace-")
