# SPDX-License-Identifier: GPL-2.0-only
"""Reproducers: what is taken, what race comes of it, how it is built and judged."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile
from test_judge import BOOT, END, SOFT_LOCKUP, WARNING
from test_program import KERNEL, LTP, add

from made_runs import BUG, made_run
from mmrace.cli import cli
from mmrace.data import use_races
from mmrace.definitions.race import Execution, FailsBy, Signature, Source, load_race
from mmrace.definitions.reproducer import (
    Reproducer,
    read_reproducer,
    with_delays,
    with_failure,
    with_functions,
)
from mmrace.errors import UserError
from mmrace.home import Home
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd
from mmrace.runs import planner
from mmrace.template import race_from_run
from mmrace.userland.program import build_program
from mmrace.userland.reproducer import keep_reproducer

PROGRAM = "int main(void) { return 0; }\n"
BEGIN = "KTAP version 1\n# release 6.1\n# start w\n"


@pytest.fixture
def home(tmp_path: Path):
    yield Home(tmp_path / "cache", tmp_path / "data")
    use_races(())  # the command line has said where the user's are


@pytest.fixture
def write(tmp_path: Path):
    def call(name: str, text: str = PROGRAM) -> str:
        path = tmp_path / "user" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    return call


def race_of(*words: str, **how):
    return read_reproducer(words).race(Execution(**how))


def test_a_c_file_becomes_a_race_of_one_workload(write) -> None:
    race = race_of(write("My Repro.c"), procs=4, user=True)
    (workload,) = race.workload
    assert re.fullmatch(r"my-repro-[0-9a-f]{8}", race.name)
    assert (workload.name, workload.source) == ("my-repro", Source.REPRODUCER)
    assert workload.argv == ("My-Repro",)
    assert workload.execution == Execution(procs=4, user=True)
    assert workload.min_counts == {"executions": 1}


def test_the_name_follows_the_content_and_nothing_else(write) -> None:
    first = race_of(write("a.c")).name
    assert race_of(write("a.c"), procs=2).name == first
    assert race_of(write("a.c", PROGRAM + "\n")).name != first


def test_headers_beside_a_file_come_with_it(write) -> None:
    write("far.h", "enum { FAR };\n")
    write("near.h", '#include "far.h"\n')
    made = read_reproducer([write("a.c", '#include "near.h"\n#include "absent.h"\n' + PROGRAM)])
    assert [name for name, _ in made.files] == ["a.c", "near.h", "far.h"]


def test_the_first_c_file_names_the_program(write) -> None:
    assert read_reproducer([write("x.h"), write("b.c"), write("a.c")]).program == "b"


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["x.h"], "a header alone"),
        (["x.txt"], "neither C"),
        (["a.c", "selftest:mm/x"], "name nothing else"),
        (["selftest:"], "not the name of a test"),
        (["ltp:../x"], "not the name of a test"),
        (["absent.c"], "No such file"),
    ],
)
def test_what_is_refused(write, tmp_path, names, complaint) -> None:
    words = [name if ":" in name or name == "absent.c" else write(name) for name in names]
    with pytest.raises(UserError, match=complaint):
        read_reproducer(words)


def test_an_executable_has_to_be_static(write, tmp_path) -> None:
    source = write("a.c")
    for name, link in (("dynamic", "-pie"), ("static", "-static")):
        argv = ["gcc", link, "-o", tmp_path / name, source]
        subprocess.run(argv, check=True)
    with pytest.raises(UserError, match=r"dynamic loader.*-static-pie"):
        read_reproducer([str(tmp_path / "dynamic")])
    assert read_reproducer([str(tmp_path / "static")]).program == "static"
    (tmp_path / "torn").write_bytes((tmp_path / "static").read_bytes()[:60])
    with pytest.raises(UserError, match="not an executable"):
        read_reproducer([str(tmp_path / "torn")])


def build(home: Home, made: Reproducer, commit: str = "", ltp: str | None = None):
    keep_reproducer(home, made)
    race = made.race(Execution())
    return build_program(home, race, race.workload[0], commit, ltp, str)


def test_several_files_are_one_position_independent_static_program(home, write) -> None:
    main = write("a.c", '#include <stdio.h>\n#include "b.h"\nint main(void) { puts(b()); }\n')
    write("b.h", "const char *b(void);\n")
    made = build(home, read_reproducer([main, write("b.c", 'char *b(void) { return "b"; }\n')]))
    shutil.rmtree(Path(main).parent)
    assert subprocess.run(made.files, capture_output=True, check=True).stdout == b"b\n"
    with made.files[0].open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_type"] == "ET_DYN"
        assert not [part for part in elf.iter_segments() if part["p_type"] == "PT_INTERP"]


def test_what_authors_leave_out_compiles(home, write) -> None:
    # No prototypes, threads, a loop that waits for a plain variable.
    text = (
        "#include <pthread.h>\nint go;\nvoid *run(void *x) { usleep(1000); go = 1; return x; }\n"
        'main() { pthread_t t; pthread_create(&t, 0, run, 0); while (!go); printf("gone\\n");'
        " return 0; }\n"
    )
    made = build(home, read_reproducer([write("a.c", text)]))
    done = subprocess.run(made.files, capture_output=True, check=True, timeout=20)
    assert done.stdout == b"gone\n"


def test_the_compilers_first_error_is_the_message(home, write) -> None:
    with pytest.raises(
        UserError, match=r"a does not compile: a\.c:2:\d+: error: .*wrong"
    ) as raised:
        build(home, read_reproducer([write("a.c", "\nint x = wrong;\nint main( { }\n")]))
    assert "\n" not in raised.value.message
    assert "a.c:3" in raised.value.detail


def test_a_selftest_is_built_with_the_trees_headers(home, tmp_path) -> None:
    commit = add(home, "toy", KERNEL, tmp_path / "tree")
    for word in ("selftest:mm/toy", "selftest:vm/toy.c"):
        made = build(home, read_reproducer([word]), commit)
        assert subprocess.run(made.files, capture_output=True, check=False).stdout == b"7 1\n"
    with pytest.raises(UserError, match="the tree lacks"):
        build(home, read_reproducer(["selftest:mm/other"]), commit)


def test_an_ltp_test_is_found_by_its_name(home, tmp_path) -> None:
    commit = add(home, "ltp", LTP, tmp_path / "tree")
    made = build(home, read_reproducer(["ltp:toy"]), "", commit)
    assert subprocess.run(made.files, check=False).returncode == 32
    with pytest.raises(UserError, match="LTP has no test other"):
        build(home, read_reproducer(["ltp:other"]), "", commit)


def judged(
    channel: str,
    *fails_by: FailsBy,
    console: str = "",
    test: str = "",
    end: VmEnd = VmEnd.EXITED,
    **how,
) -> Judgement:
    made = Reproducer(test=test) if test else Reproducer((("w.c", b""),))
    race = made.race(Execution(fails_by=fails_by), **how)
    output = (BEGIN + channel).encode()
    return judge(Evidence(race, race.workload[0], end, (BOOT + console).encode(), output))


def test_an_exit_code_or_a_signal_is_no_failure_and_is_shown_with_the_last_words() -> None:
    output = "# out open: No such file\nnot ok 1 - w # exit=1 seconds=1\n"
    run = judged(output + "not ok 2 - w # signal=11 seconds=1\n" + END)
    assert run.outcome is Outcome.PASS
    assert run.exercised == {"executions": (2, 1)}
    last = "; its last words: open: No such file"
    assert run.notes == (
        f"the program ended with exit code 1 in 1 of 2 executions{last}",
        f"the program ended with signal 11 in 1 of 2 executions{last}",
    )


def test_a_program_without_end_has_held_when_its_time_is_over() -> None:
    run = judged("# alive\n# cut seconds=20.00\n1..0\n# end\n")
    assert (run.outcome, run.exercised) == (Outcome.PASS, {"executions": (1, 1)})
    assert run.notes == ("the program ran until its time was over",)


def test_what_it_missed_is_said() -> None:
    run = judged("ok 1 - w # exit=0 seconds=1\n# missed open /dev/net/tun: ENOENT\n" + END)
    assert run.notes == ("the program missed: open /dev/net/tun: ENOENT",)


@pytest.mark.parametrize("how", ["exit=1", "signal=11"])
def test_an_exit_code_is_a_failure_where_the_user_says_so(how: str) -> None:
    run = judged(f"# out FAIL: it broke\nnot ok 1 - w # {how} seconds=1\n" + END, FailsBy.EXIT)
    assert (run.outcome, run.signature_matched) == (Outcome.FAIL, True)
    assert run.title == "FAIL: it broke"


def test_a_hang_is_a_failure_of_the_kernel_and_its_own_where_the_user_says_so() -> None:
    for fails_by, own in (((), False), ((FailsBy.HANG,), True)):
        run = judged("", *fails_by, end=VmEnd.SILENT)
        assert (run.outcome, run.signature_matched) == (Outcome.HANG, own)


@pytest.mark.parametrize(("test", "code"), [("selftest:mm/x", 4), ("ltp:x", 32)])
def test_a_test_that_cannot_run_here_exercised_nothing(test: str, code: int) -> None:
    for fails_by in ((), (FailsBy.EXIT,)):
        run = judged(f"not ok 1 - w # exit={code} seconds=1\n" + END, *fails_by, test=test)
        assert run.outcome is Outcome.NOT_EXERCISED


def test_a_program_that_cannot_be_started_exercised_nothing() -> None:
    assert judged("not ok 1 - w # exit=127 seconds=1\n" + END).outcome is Outcome.NOT_EXERCISED


def test_any_crash_of_the_kernel_is_its_own_until_one_is_known() -> None:
    ended = "ok 1 - w # exit=0 seconds=1\n" + END
    splat = WARNING.format("30.000000", "guilty")
    assert judged(ended, console=splat).signature_matched
    assert judged(ended, console=splat, crash="guilty").signature_matched
    foreign = judged(ended, console=splat, crash="innocent")
    assert (foreign.outcome, foreign.signature_matched) == (Outcome.CRASH, False)


def test_a_lockup_of_the_kernel_is_its_own_failure() -> None:
    run = judged("", console=SOFT_LOCKUP, end=VmEnd.STOPPED)
    assert (run.outcome, run.signature_matched) == (Outcome.CRASH, True)


def test_memory_that_the_program_used_up_is_no_failure_of_the_kernel() -> None:
    panic = "[   30.000000] Kernel panic - not syncing: Out of memory: system-wide panic_on_oom\n"
    assert not judged("", console=panic, end=VmEnd.RESET).signature_matched
    killed = "[   30.000000] Out of memory: Killed process 77 (w) total-vm:1kB\n"
    assert judged("not ok 1 - w # signal=9 seconds=1\n" + END, console=killed).outcome is (
        Outcome.PASS
    )


def test_the_use_of_freed_memory_shows_without_kasan(write) -> None:
    assert read_reproducer([write("a.c")]).race(Execution()).boot == ("slub_debug=FP",)


def test_programs_that_call_a_shell_find_one(write, tmp_path, monkeypatch) -> None:
    workload = read_reproducer([write("a.c")]).race(Execution()).workload[0]
    shell = tmp_path / "busybox"
    monkeypatch.setattr(planner, "BUSYBOX", shell)
    assert planner.shell_for(workload) is None  # the host has none
    shell.touch()
    assert planner.shell_for(workload) == shell
    assert planner.shell_for(load_race("hugetlb-uffd").workload[0]) is None


def test_signatures_of_what_is_known(write) -> None:
    made = read_reproducer([write("a.c")])
    assert made.race(Execution(), crash="x").signature == (Signature(title="x"),)
    assert replace(made, test="ltp:x").race(Execution()).title == "ltp:x"


COUNTED = (("walk", "mm/rmap.c"), ("free_it", "mm/memory.c"))


@pytest.fixture
def kept(home, tmp_path, write):
    """A run of a reproducer, of which a race is made."""
    made = read_reproducer([write("a.c", '#include "b.h"\n' + PROGRAM), write("b.h", "")])
    keep_reproducer(home, made)
    how = Execution(procs=3, fails_by=(FailsBy.EXIT,), given=("/home/a.c",))
    race = made.race(how, configs=("tun",))
    race = with_functions(with_failure(race, r"^kernel BUG in made\.to\"fail$"), COUNTED)
    race = with_delays(race, COUNTED)
    channel = BEGIN + "# count probe:walk 95\n"
    return made_run(tmp_path, channel=channel, console=BUG, end=VmEnd.STOPPED, of=race)


def test_the_command_that_repeats_a_steered_run_names_the_run(kept) -> None:
    spec = kept.spec().model_copy(update={"origin": ""})
    assert spec.command == f"mmrace again {spec.id}"
    unsteered = spec.model_copy(update={"steered": False}).command
    assert unsteered.startswith("mmrace run --repro /home/a.c --procs 3")


def test_a_race_is_made_from_a_run(home, kept) -> None:
    use_races((home.races,))
    folder = race_from_run(home, "my-bug", home.races, kept)
    race = load_race("my-bug")
    program = build_program(home, race, race.workload[0], "", None, str)
    was = kept.spec()
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "a.c",
        "b.h",
        "race.toml",
    ]
    assert race.signature == was.race.signature
    assert race.probe == was.race.probe
    assert race.delays
    assert race.delays == was.race.delays
    assert race.workload[0].execution == was.workload.execution.model_copy(update={"given": ()})
    assert race.workload[0].min_counts == {"executions": 1, "functions": 9}
    assert race.own_config == ("reproducer", "tun")
    assert race.functions == ("walk",)  # what the run executed
    assert (folder / "race.toml").read_text().count("TODO") >= 3
    assert subprocess.run(program.files, check=False).returncode == 0


def test_the_command_line_makes_a_race_from_a_run(kept, home, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MMRACE_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["race", "new", "my-bug", "--from", str(kept.folder)])
    assert done.exit_code == 0, done.output
    assert "a.c" in done.stdout
    assert "next: mmrace run --race my-bug --tree debian:6.1 --series vulnerable" in done.stdout
    assert (home.races / "my-bug" / "race.toml").is_file()


def test_a_race_is_made_from_runs_of_reproducers_only(home, tmp_path) -> None:
    with pytest.raises(UserError, match="is a run of race race"):
        race_from_run(home, "my-bug", home.races, made_run(tmp_path))
