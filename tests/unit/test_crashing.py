# SPDX-License-Identifier: GPL-2.0-only
"""What people learn of a console log: without a kernel, with its own, with another one's."""

import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner

import made_runs
from mmrace.cli import cli
from mmrace.crash import CorruptedReason, parse, record
from mmrace.symbols.identity import Identity, of_log, of_vmlinux, stranger

LOG = b"""\
[    0.000000] Linux version 6.1.0 (a@b) (gcc 12.2, GNU ld 2.40) #7 SMP Sat Nov 28 10:00:00 UTC 2026
[   10.000001] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   10.000002] Oops: 0000 [#1] PREEMPT SMP PTI
[   10.000003] CPU: 0 PID: 12 Comm: a Not tainted 6.1.0 #7
[   10.000004] RIP: 0010:toy_read+0x12/0x34
[   10.000005] Call Trace:
[   10.000006]  toy_caller+0x12/0x34
[   10.000007]  entry_SYSCALL_64_after_hwframe+0x63/0xcd
"""
CUT = LOG[: LOG.index(b"[   10.000005]")]


def run(tmp_path, *argv, data=None):
    env = {"MMRACE_HOME": str(tmp_path / "home"), "NO_COLOR": "1", "COLUMNS": "200"}
    return CliRunner().invoke(cli, [str(item) for item in argv], input=data, env=env)


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory):
    compiler = shutil.which("gcc")
    assert compiler
    folder = tmp_path_factory.mktemp("kernel")
    banner = "Linux version 6.1.0 (a@b) (gcc 12.2, GNU ld 2.40) #8 SMP Sat Nov 28 11:00:00 UTC 2026"
    (folder / "main.c").write_text(
        f'const char linux_banner[] = "{banner}\\n";\n'
        "__attribute__((noinline)) int toy_read(int *p) { return *p; }\n"
        "int main(int argc, char **argv) { return toy_read(&argc); }\n"
    )
    argv = [compiler, "-g", "-O1", "-no-pie", "-Wl,--build-id", folder / "main.c"]
    subprocess.run([*argv, "-o", folder / "vmlinux"], check=True)
    return folder / "vmlinux"


def test_a_log_alone_is_analysed(tmp_path):
    done = run(tmp_path, "decode", data=LOG)
    assert done.exit_code == 0
    fields = dict(line.split(":", 1) for line in done.output.splitlines())
    assert fields["title"].strip() == "BUG: kernel NULL pointer dereference in toy_read"
    assert fields["function"].strip() == "toy_read"
    assert fields["corrupted"].strip() == "no"
    assert fields["frames"].strip() == "toy_caller < entry_SYSCALL_64_after_hwframe"


def test_a_log_without_a_crash_says_so(tmp_path):
    done = run(tmp_path, "decode", data=LOG[:100])
    assert (done.exit_code, done.output.strip()) == (0, "no crash")


def test_crashes_of_logs_are_listed_with_why_they_are_corrupted(tmp_path):
    (tmp_path / "whole.log").write_bytes(LOG)
    (tmp_path / "cut.log").write_bytes(CUT)
    logs = [tmp_path / "whole.log", tmp_path / "cut.log"]
    done = run(tmp_path, "crashes", "--json", *logs)
    whole, cut = (item["crashes"] for item in json.loads(done.output)["logs"])
    assert (whole[0]["function"], whole[0]["corrupted"]) == ("toy_read", None)
    assert cut[0]["corrupted"] == "cut before the trace"
    output = run(tmp_path, "crashes", *logs).output
    assert "whole.log" in output
    assert "cut before the trace" in output


def test_logs_and_runs_are_not_mixed(tmp_path):
    (tmp_path / "a.log").write_bytes(LOG)
    done = run(tmp_path, "crashes", "--race", "x", tmp_path / "a.log")
    assert done.exit_code != 0
    assert "give them without LOG" in done.output + str(done.exception)


def test_a_vmlinux_of_another_build_is_said_and_gives_no_lines(tmp_path, vmlinux):
    (tmp_path / "a.log").write_bytes(LOG)
    done = run(tmp_path, "decode", tmp_path / "a.log", "--vmlinux", vmlinux)
    assert done.exit_code == 0
    assert f"warning: {vmlinux} is 6.1.0 #8, the log is of 6.1.0 #7" in done.output
    assert "main.c" not in done.output.replace(str(vmlinux), "")
    own = stranger(
        LOG.replace(b"#7", b"#8").replace(b"10:00", b"11:00").decode().splitlines(), vmlinux
    )
    assert own == ""


def test_a_kernel_is_known_by_what_both_say():
    stack = (
        "CPU: 1 UID: 0 PID: 12 Comm: a Tainted: G        W   6.1.0+ #7 PREEMPT(full) " + "ab" * 20
    )
    (identity,) = of_log([stack, "nothing", stack])
    assert identity == Identity("6.1.0+", "#7", "", "ab" * 20)
    assert identity.differs(Identity("6.1.0+", "#7", "", "cd" * 20))
    assert not identity.differs(Identity("6.1.0+", "#7", "Linux version 6.1.0+", ""))
    assert identity.differs(Identity("6.2.0", "#7"))
    assert not identity.differs(Identity())


def test_identity_of_an_image(vmlinux):
    found = of_vmlinux(vmlinux)
    assert (found.release, found.number, len(found.build_id)) == ("6.1.0", "#8", 40)


def test_crashes_are_kept_with_their_parser(monkeypatch):
    found = parse(LOG + CUT)
    assert found[1].corrupted is CorruptedReason.BEFORE_TRACE
    kept = record.dump(found)
    assert record.load(kept) == found
    monkeypatch.setattr(record, "PARSER", record.PARSER + 1)
    assert record.load(kept) is None
    assert record.load("{") is None


def test_a_run_gives_what_was_kept_until_the_parser_changes(tmp_path, monkeypatch):
    run = made_runs.made_run(tmp_path, console=made_runs.BOOT + made_runs.BUG)
    read = run.crashes()
    assert [item.function for item in read] == ["made_to_fail"]
    run.keep_crashes(())
    assert run.crashes() == ()
    monkeypatch.setattr(record, "PARSER", record.PARSER + 1)
    assert run.crashes() == read
