# SPDX-License-Identifier: GPL-2.0-only
"""JUnit, KTAP, KCIDB, Markdown and annotations from made run directories."""

import json
import re
import xml.etree.ElementTree as ET

import kcidb_io
import pytest
from click.testing import CliRunner

from made_runs import BEGIN, BOOT, BUG, FAILED, made_run
from mmrace.cli import cli
from mmrace.errors import UserError
from mmrace.outcome import VmEnd
from mmrace.reports import junit, kcidb, ktapout, summary
from mmrace.runs.record import NotRun

CRASHED = {"channel": BEGIN, "console": BOOT + BUG, "end": VmEnd.RESET}
COMMAND = "mmrace run --race race --workload w --tree debian:6.1 --seed 7"


@pytest.fixture
def runs(tmp_path):
    """One run of each outcome that matters, of two races."""
    kinds = [
        {},
        CRASHED,
        {"channel": FAILED, "race": "other"},
        {"floor": 1000},
        {"channel": "", "console": b"", "end": VmEnd.QEMU_DIED, "message": "no memory"},
    ]
    return [
        made_run(tmp_path, name=f"20260102-03040{number}-race-w-000{number}", **fields)
        for number, fields in enumerate(kinds)
    ]


def tree(text):
    return ET.fromstring(text)  # noqa: S314 (our own)


def suites(text):
    return {suite.get("name"): suite for suite in tree(text)}


def test_junit_keeps_failures_errors_and_skips_apart(runs):
    root = tree(junit.document(runs, [NotRun("race", "ltp", "no LTP source")]))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "2", "1")
    race = suites(ET.tostring(root))["race"]
    assert [race.get(key) for key in ("tests", "failures", "errors", "skipped")] == list("5112")
    kinds = [
        [child.tag for child in case if child.tag != "system-out"] for case in race.iter("testcase")
    ]
    assert kinds == [[], ["failure"], ["skipped"], ["error"], ["skipped"]]


def test_junit_failure_explains_itself(runs):
    failure = tree(junit.document(runs)).find(".//failure")
    assert failure.get("message") == "CRASH: kernel BUG in made_to_fail"
    assert failure.get("type") == "CRASH"
    assert "where: made_to_fail+0x1d/0x50 at mm/made.c:42" in failure.text
    assert COMMAND in failure.text
    assert "its_caller+0x8e/0xa0" in failure.text
    assert "RIP: 0010:made_to_fail+0x1d/0x50" in failure.text
    assert "RAX:" not in failure.text


def test_junit_cases_have_names_of_their_own(runs):
    root = tree(junit.document(runs))
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)
    assert names[0] == ("mmrace.race", "w on 6.1.192 vulnerable")


def test_junit_has_only_what_the_strictest_reader_knows(runs):
    """Elements and attributes of Jenkins' xunit plugin, the narrowest of the three."""
    allowed = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {
            "name",
            "tests",
            "failures",
            "errors",
            "skipped",
            "time",
            "timestamp",
            "hostname",
        },
        "testcase": {"name", "classname", "time"},
        "properties": set(),
        "property": {"name", "value"},
        "failure": {"type", "message"},
        "error": {"type", "message"},
        "skipped": {"type", "message"},
        "system-out": set(),
    }
    root = tree(junit.document(runs))
    for element in root.iter():
        assert set(element.attrib) <= allowed[element.tag]
    assert not list(root.iterfind(".//testcase/properties"))
    assert suites(ET.tostring(root))["race"].find("properties/property[@name='kernel']") is not None


def test_junit_survives_bytes_that_xml_cannot_hold(tmp_path):
    channel = (
        BEGIN
        + "# out \\x00\\x1b[31m\\x0b\\xef\\xbf\\xbe ]]> & <b>\n# out mmrace: fail \\x07 bell\n"
    )
    run = made_run(tmp_path, channel=channel + "not ok 1 - w # exit=1 seconds=1.00\n1..1\n# end\n")
    text = junit.document([run])
    assert "]]> & <b>" in tree(text).find(".//system-out").text
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe]", text)


def test_ktap_nests_counts_and_skips(runs):
    lines = ktapout.document(runs, [NotRun("other", "ltp", "no LTP # source")]).splitlines()
    assert lines[0] == "KTAP version 1"
    assert [line for line in lines if not line.startswith(("  #", "#", "    "))] == [
        "KTAP version 1",
        "1..2",
        "  KTAP version 1",
        "  1..4",
        "  ok 1 w on 6.1.192 vulnerable",
        "  not ok 2 w on 6.1.192 vulnerable",
        "  ok 3 w on 6.1.192 vulnerable # SKIP NOT_EXERCISED turns: 7, at least 1000 wanted",
        "  not ok 4 w on 6.1.192 vulnerable",
        "not ok 1 race",
        "  KTAP version 1",
        "  1..2",
        "  not ok 1 w on 6.1.192 vulnerable",
        "  ok 2 ltp # SKIP no LTP source",
        "not ok 2 other",
    ]
    assert "  # Subtest: race" in lines
    assert "  # at mm/made.c:42" in lines


def test_kcidb_is_valid_and_says_fail_skip_and_miss(runs):
    made = json.loads(kcidb.document(runs, "my_lab"))
    kcidb_io.schema.V5_3.validate(made)
    assert [test["status"] for test in made["tests"]] == ["PASS", "FAIL", "FAIL", "SKIP", "MISS"]
    assert {test["build_id"] for test in made["tests"]} == {made["builds"][0]["id"]}
    assert made["builds"][0]["checkout_id"] == made["checkouts"][0]["id"]
    assert made["builds"][0]["compiler"] == "gcc (Debian) 12"
    crashed = made["tests"][1]
    assert crashed["id"] == f"my_lab:{runs[1].id}"
    assert crashed["path"] == "mmrace.race.w"
    assert crashed["start_time"] == "2026-01-02T03:04:01+00:00"
    assert "kernel BUG at mm/made.c:42!" in crashed["log_excerpt"]


def test_kcidb_says_what_to_install_where_it_is_not(runs, monkeypatch):
    monkeypatch.setattr(kcidb, "schema", lambda: None)
    with pytest.raises(UserError, match=r"mmrace\[kcidb\]"):
        kcidb.document(runs, "my_lab")


def test_kcidb_takes_no_origin_that_it_would_refuse(runs):
    with pytest.raises(UserError, match="not an origin: 'My Lab'"):
        kcidb.document(runs, "My Lab")


def test_markdown_tells_all_without_html(runs):
    text = summary.markdown(runs, "before | after", [NotRun("race", "ltp", "none | here")])
    assert text.startswith("## before | after: 1 CRASH, 1 FAIL, 1 PASS, 1 NOT_EXERCISED, 1 INFRA\n")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert "none \\| here" in text
    assert "In `made_to_fail+0x1d/0x50` at `mm/made.c:42`,\nseen in race/w on" in text
    assert f"    {COMMAND}\n" in text
    assert text.count("```") == 4
    assert not re.search(r"</?\w+>", text)


def test_annotations_point_at_the_line_and_are_escaped(runs):
    found = summary.annotations(runs)
    assert found[-2].startswith("::warning title=NOT_EXERCISED%3A race/w on 6.1.192 vulnerable::")
    assert found[-1].startswith("::error title=INFRA%3A ")
    crashed = next(line for line in found if "made_to_fail" in line)
    assert crashed.startswith("::error file=mm/made.c,line=42,title=CRASH%3A kernel BUG in made_to")
    assert "%0Aagain: mmrace run" in crashed
    assert all("\n" not in line for line in found)


def call(tmp_path, *argv):
    arguments = ["report", *map(str, argv)]
    return CliRunner().invoke(cli, arguments, env={"MMRACE_HOME": str(tmp_path / "home")})


def test_the_command_writes_what_is_asked_for_and_nothing_else(tmp_path):
    run = made_run(tmp_path, **CRASHED)
    files_by_kind = {kind: tmp_path / "out" / kind for kind in ("html", "junit", "ktap", "kcidb")}
    options = [word for kind, path in files_by_kind.items() for word in (f"--{kind}", path)]
    done = call(tmp_path, run.folder, *options, "--markdown", "-", "--github")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(files_by_kind)
    assert files_by_kind["html"].read_text().startswith("<!doctype html>")
    assert done.stdout.startswith("## mmrace: 1 CRASH\n")
    assert "\n::error file=mm/made.c,line=42" in done.stdout
    assert not (tmp_path / "home").exists()


def test_without_options_page_and_junit_go_to_the_home(tmp_path):
    run = made_run(tmp_path)
    done = call(tmp_path, run.folder, "--json")
    written = json.loads(done.stdout)
    assert set(written) == {"schema", "html", "junit"}
    assert written["html"].startswith(str(tmp_path / "home"))
