# SPDX-License-Identifier: GPL-2.0-only
import json
import os
import subprocess
import sys

import pytest

from mmrace.cli.app import App
from mmrace.cli.options import DURATION
from mmrace.errors import NotHereError, UserError
from mmrace.experiments.running import Runs
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome


class FakeRun:
    """A run of which only the judgement is looked at."""

    def __init__(self, outcome, signature=False):
        self._judged = Judgement(Outcome(outcome), signature_matched=signature)

    def judgement(self):
        return self._judged


def mmrace(tmp_path, *argv):
    done = subprocess.run(
        [sys.executable, "-m", "mmrace", *argv],
        capture_output=True,
        text=True,
        env={**os.environ, "MMRACE_HOME": str(tmp_path), "PYTHONPATH": "harness"},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (("run", "--race", "no-such", "--tree", "debian:6.1"), ("no-such", "exec-stack-migration")),
        (
            ("run", "--race", "exec-stack-migration", "--workload", "w", "--tree", "debian:6.1"),
            ("'w'", "exec-storm"),
        ),
        (("run", "--race", "hugetlb-uffd", "--tree", "x", "--for", "soon"), ("soon", "90s")),
        (("build", "--tree", "no-such"), ("no-such",)),
        (("judge", "no-such"), ("no-such", "mmrace runs")),
        (("races", "show", "no-such"), ("no-such",)),
    ],
)
def test_bad_input_is_one_line_that_names_the_thing(tmp_path, argv, names):
    code, out, err = mmrace(tmp_path, *argv)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert all(name in last for name in names), last


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("verfiy",), "no command 'verfiy'; did you mean verify?"),
        (("tree", "ad"), "no command 'ad'; did you mean add?"),
        (("zzz",), "no command 'zzz'; see `mmrace --help`"),
        (("verify", "--treee", "x"), "no option '--treee'; did you mean --tree?"),
        (("runs", "--zzz"), "no option '--zzz'; see `mmrace runs --help`"),
        (("run", "--tree"), "option '--tree' requires an argument; see `mmrace --help`"),
        (("run",), "missing option '--tree'; see `mmrace run --help`"),
        (("judge",), "missing argument 'RUN'; see `mmrace judge --help`"),
        (("--json",), "missing command; see `mmrace --help`"),
        (
            ("run", "--for", "soon"),
            "invalid value for '--for': not a duration: 'soon'; write 90, 90s, 2m or 1h",
        ),
    ],
)
def test_a_command_line_that_cannot_be_parsed_has_a_way_out(tmp_path, argv, message):
    code, _, err = mmrace(tmp_path, *argv)
    assert (code, err) == (2, f"mmrace: {message}\n")


def test_a_revision_that_cannot_be_run_is_skipped_by_git_bisect(tmp_path):
    words = ("run", "--race", "hugetlb-uffd", "--tree", "no-such", "--bisect-exit")
    code, out, err = mmrace(tmp_path, *words)
    assert (code, out) == (125, "")
    assert "no-such" in err


def test_races_as_json(tmp_path):
    code, out, _ = mmrace(tmp_path, "races", "--json")
    document = json.loads(out)
    assert (code, document["schema"]) == (0, 1)
    found = {race["name"]: race for race in document["races"]}
    assert "6.1" in found["exec-stack-migration"]["bases"]
    assert "exec-storm" in found["exec-stack-migration"]["workloads"]


def test_json_may_stand_before_the_command(tmp_path):
    assert mmrace(tmp_path, "--json", "runs")[1] == mmrace(tmp_path, "runs", "--json")[1]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_durations(text, seconds):
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["PASS", "PASS"], 0),
        (["PASS", "NOT_EXERCISED"], 3),
        (["NOT_EXERCISED", "CRASH"], 1),
        (["HANG", "INFRA"], 69),
        ([], 3),
    ],
)
def test_several_runs_exit_as_the_worst(outcomes, code):
    assert Runs(tuple(FakeRun(outcome) for outcome in outcomes)).exit_code == code


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([("PASS", False)], 0),
        ([("PASS", False), ("CRASH", True)], 1),
        ([("CRASH", False)], 125),
        ([("NOT_EXERCISED", False)], 125),
        ([("PASS", False), ("INFRA", False)], 125),
        ([], 125),
    ],
)
def test_bisect_exit_is_bad_only_for_the_signature(runs, code):
    assert Runs(tuple(FakeRun(*run) for run in runs)).bisect_code == code


def test_a_source_that_is_not_there_is_no_failed_step(tmp_path, capsys):
    app = App(Home(tmp_path, tmp_path), as_json=False)
    with pytest.raises(NotHereError), app.step("program race/selftest"):
        raise NotHereError("workload selftest: the tree has none of mm/new.c")
    assert "failed" not in capsys.readouterr().err
    with pytest.raises(UserError), app.step("program race/stressor"):
        raise UserError("there is no file")
    assert "program race/stressor: failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "kind", "code"),
    [
        (("build", "--tree", "no-such", "--json"), "input", 2),
        (("--json", "judge", "no-such"), "input", 2),
        (("--json", "no-such"), "usage", 2),
        (("run", "--json", "--race", "hugetlb-uffd"), "usage", 2),
        (("run", "--race", "hugetlb-uffd", "--tree", "x", "--for", "soon", "--json"), "usage", 2),
        (
            ("run", "--json", "--race", "hugetlb-uffd", "--tree", "no-such", "--bisect-exit"),
            "input",
            125,
        ),
    ],
)
def test_an_error_is_a_document_too(tmp_path, argv, kind, code):
    ended, out, err = mmrace(tmp_path, *argv)
    document = json.loads(out)
    assert set(document) == {"schema", "error"}
    error = document["error"]
    assert (ended, error["kind"], error["exit"]) == (code, kind, code)
    assert error["message"] in err.replace("\n", " ")


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        ("InfraError('the host failed')", "infra", 69),
        ("BuildError('it does not compile')", "build", 4),
        ("NotHereError('no LTP')", "missing", 2),
        ("ZeroDivisionError('ours')", "bug", 70),
        ("KeyboardInterrupt()", "interrupted", 130),
        ("OSError(28, 'No space left', 'x')", "infra", 69),
    ],
)
def test_every_exit_code_has_its_document(tmp_path, raised, kind, code):
    program = (
        "import sys; from mmrace.errors import *; from mmrace import cli\n"
        f"def fail(*_, **__): raise {raised}\n"
        "cli.Home.from_environment = fail\n"
        "sys.argv = ['mmrace', 'runs', '--json']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], error["exit"]) == (code, kind, code)


def test_what_belongs_to_a_command_of_the_user_asks_for_no_document(tmp_path):
    _, out, _ = mmrace(tmp_path, "bisect", "--repo", str(tmp_path), "--", "true", "--json")
    assert out == ""
