# SPDX-License-Identifier: GPL-2.0-only
"""Parts of PID 1 that need no guest: the job file, and how output is wrapped."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from mmrace.data import data_dir
from mmrace.definitions.race import Execution, FailsBy, Probe, Source
from mmrace.userland.image import Job

TESTS = Path(__file__).parent / "guest"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("guest")

    def compile_test(name: str, *parts: str) -> Path:
        guest = data_dir("qemu") / "guest"
        sources = [TESTS / f"{name}.c", *(guest / f"{part}.c" for part in parts)]
        argv = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-I", guest, "-o", folder / name]
        subprocess.run([*argv, *sources], check=True)
        return folder / name

    return compile_test


@pytest.fixture(scope="module")
def feed(build):
    program = build("feed", "output", "channel")

    def run(data: bytes) -> list[str]:
        done = subprocess.run([program], input=data, capture_output=True, check=True)
        return done.stderr.decode("ascii").splitlines()

    return run


@pytest.fixture(scope="module")
def show_job(build, tmp_path_factory: pytest.TempPathFactory):
    program = build("show_job", "job", "file")
    path = tmp_path_factory.mktemp("job") / "job"

    def run(text: str) -> list[str]:
        path.write_text(text)
        done = subprocess.run([program, path], check=False, capture_output=True)
        return done.stdout.decode().splitlines()

    return run


def test_guest_reads_what_the_host_writes(show_job) -> None:
    job = Job(
        name="move",
        argv=("uffd-move", "", "two words", "=x"),
        seconds=2.5,
        at_most=10,
        seed=7,
        env={"A": "1 x"},
        hugepages=(64, 0),
        probes=(Probe(name="shifted", function=("shift", "old"), returns=-11),),
        writes=(("/proc/x", "1 2"),),
        iterations=3,
    )
    assert show_job(job.render()) == [
        "name=move",
        "seconds=2.5",
        "at-most=10",
        "announced=1",
        "seed=7",
        "iterations=3",
        "failures=1",
        "skip=4,0",
        "shell=0",
        "procs=0",
        "uid=0",
        "hugepages=0,64",
        "hugepages=1,0",
        "write=/proc/x 1 2",
        "probe=shifted shift,old -11",
        "env=A=1 x",
        "arg=uffd-move",
        "arg=",
        "arg=two words",
        "arg==x",
    ]


def test_a_run_without_a_cap_ends_with_its_time(show_job) -> None:
    shown = show_job(Job("w", ("w",), 3, source=Source.SELFTEST).render())
    assert {"seconds=3", "at-most=3", "announced=0"} < set(shown)


def test_the_host_says_enough_on_the_channel(build) -> None:
    host, guest = os.openpty()
    child = subprocess.Popen([build("hear", "channel"), os.ttyname(guest)])
    try:
        output = os.read(host, 100)
        for noise in (b"x" * 100 + b"\n", b"enoug\n", b"not enough\n", b"eno"):
            os.write(host, noise)
            output += os.read(host, 100)
        assert b"enough" not in output
        assert child.poll() is None
        os.write(host, b"ugh\n")
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        os.close(host)
        os.close(guest)


@pytest.mark.parametrize(("longest", "least", "most"), [(None, 0, 5), ("20", 20, 20 * 20 + 100)])
def test_a_stressor_rests_as_its_workload_says(build, longest, least, most) -> None:
    env = {} if longest is None else {"STRESSOR_REST": longest}
    output = subprocess.run([build("rest")], env=env, check=True, capture_output=True)
    assert least <= int(output.stdout) <= most


def test_a_reproducers_job(show_job) -> None:
    how = Execution(procs=4, user=True, fails_by=(FailsBy.EXIT, FailsBy.HANG))
    job = Job("r", ("r",), 1, source=Source.REPRODUCER, execution=how, zram=True)
    shown = show_job(job.render())
    assert {"procs=4", "uid=65534", "returns", "zram", "failures=1", "skip=-1,0"} <= set(shown)
    plain = show_job(Job("r", ("r",), 1, source=Source.REPRODUCER).render())
    assert {"procs=1", "uid=0", "failures=1000000", "skip=-1,0"} <= set(plain)
    assert not {"returns", "zram"} & set(plain)
    assert "procs=0" in show_job(Job("r", ("r",), 1).render())


@pytest.fixture(scope="module")
def missed(build, tmp_path_factory: pytest.TempPathFactory):
    tracer = build("trace", "missing", "channel")
    folder = tmp_path_factory.mktemp("traced")

    def run(body: str) -> list[str]:
        source, program = folder / "asks.c", folder / "asks"
        names = ("fcntl", "stdlib", "pthread", "sys/mount", "sys/socket", "sys/syscall", "unistd")
        heads = "".join(f"#include <{name}.h>\n" for name in names)
        source.write_text(f"#define _GNU_SOURCE\n{heads}int main(void) {{ {body} }}\n")
        argv = ["gcc", "-static", "-pthread", "-o", program, source]
        subprocess.run(argv, check=True)
        done = subprocess.run([tracer, program], capture_output=True, check=True, timeout=30)
        return done.stderr.decode("ascii").splitlines()

    return run


def test_what_a_program_asked_for_in_vain_is_said_once(missed) -> None:
    lines = missed(
        'for (int i = 0; i < 3; i++) open("/dev/no such", 0); open("relative", 0);'
        ' socket(99, 1, 0); syscall(9999); open("/dev/null", 0); getppid();'
        ' mount("x", "/", "nofs", 0, 0); execl("/bin/none", "none", (char *)0);'
    )
    assert lines == [
        "# missed open /dev/no such: ENOENT",
        "# missed socket(99, 1, 0): EAFNOSUPPORT",
        "# missed system call 9999: ENOSYS",
        "# missed mount nofs: ENODEV",
        "# missed exec /bin/none: ENOENT",
    ]


def test_children_and_threads_are_followed_and_one_without_end_is_left(missed) -> None:
    begun = time.monotonic()
    lines = missed(
        'if (!fork()) { open("/dev/child", 0); for (;;) pause(); }'
        ' void *run(void *p) { open("/dev/thread", 0); return p; }'
        " pthread_t t; pthread_create(&t, 0, run, 0); for (;;) pause();"
    )
    assert sorted(lines) == [
        "# missed open /dev/child: ENOENT",
        "# missed open /dev/thread: ENOENT",
    ]
    assert 1.9 < time.monotonic() - begun < 20


def test_a_stressor_says_its_counters_while_it_goes_on(build) -> None:
    output = subprocess.run([build("watch")], check=True, capture_output=True, text=True).stdout
    turns = [int(line.split()[-1]) for line in output.splitlines()]
    assert turns == list(range(1, len(turns) + 1))
    assert 2 <= len(turns) <= 5  # half a second apart, and one at the end


def test_windows_and_when_they_are_armed(show_job) -> None:
    windows = ("first 5000 1000000 ffffffff81000010 ffffffff81000020,ffffffff81000030",)
    shown = show_job(Job("w", ("w",), 1, windows=windows).render())
    assert f"window={windows[0]}" in shown
    assert "arm-at-start" not in shown
    ltp = Job("w", ("w",), 1, source=Source.LTP, windows=windows)
    assert "arm-at-start" in show_job(ltp.render())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name x\n", "names no program"),
        ("nmae x\n", "unknown key"),
        ("arg x\nhugepages 64 1\n", "hugepages"),
        ("arg x\n" * 65, "too many"),
    ],
)
def test_bad_job_is_refused(show_job, text: str, complaint: str) -> None:
    assert complaint in show_job(text)[0]


def test_output_cannot_forge_a_result(feed) -> None:
    assert feed(b"ok 1 - x\r\n# end\n") == ["# out ok 1 - x\\x0d", "# out # end"]


def test_windows_are_armed_when_the_workload_says_that_it_races(feed) -> None:
    lines = feed(b"mmrace: count a 1\nmmrace: race\n")
    assert lines == ["# out mmrace: count a 1", "armed", "# out mmrace: race"]


def test_bytes_are_escaped(feed) -> None:
    assert feed(b"a\0b\x1b[1m\xc3\xa4\tc\\n\n") == ["# out a\\x00b\\x1b[1m\\xc3\\xa4\tc\\\\n"]


def test_long_line_is_split_and_last_line_needs_no_newline(feed) -> None:
    lines = feed(b"x" * 900)
    assert [len(line) - len("# out ") for line in lines] == [400, 400, 100]


def test_longest_escaped_line_is_whole(feed) -> None:
    assert feed(b"\x01" * 400 + b"\n") == ["# out " + "\\x01" * 400]


def test_flood_is_capped_and_its_end_is_kept(feed) -> None:
    lines = feed(b"".join(b"%d\n" % i for i in range(1000)))
    assert lines[:100] == [f"# out {i}" for i in range(100)]
    assert lines[100] == "# note dropped 860 lines of output"
    assert lines[101:] == [f"# out {i}" for i in range(960, 1000)]


def test_next_period_starts_anew(feed) -> None:
    lines = feed(b"x\n" * 100 + b"\f" + b"y\n" * 100)
    assert lines == ["# out x"] * 100 + ["# out y"] * 100


def test_evidence_passes_a_flood(feed) -> None:
    lines = feed(b"x\n" * 500 + b"mmrace: fail seen\n" + b"x\n" * 500)
    assert lines.index("# out mmrace: fail seen") == 100


def test_last_value_of_a_counter_passes_a_flood(feed) -> None:
    counts = b"".join(b"mmrace: count a %d\nmmrace: count ab %d\n" % (i, 2 * i) for i in range(300))
    lines = feed(counts + b"x\n" * 200)
    assert lines[-2:] == ["# out mmrace: count a 299", "# out mmrace: count ab 598"]
    assert len(lines) < 150
