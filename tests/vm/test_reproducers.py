# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts from programs alone: no race is named, the failure is learnt. Minutes each."""

import re
from pathlib import Path

import pytest

from mmrace.data import data_dir
from mmrace.definitions.race import load_race
from mmrace.judging.channel import parse
from mmrace.judging.signature import in_output, in_report
from mmrace.runs.record import RunDir

pytestmark = pytest.mark.slow

SERIES = Path(__file__).parents[1] / "data" / "series"
QUOTED = re.compile(r'^#include "([^"]+)"$')
# A program fails where the default that the series changes is the old one.
LOOKS = """\
#include <stdio.h>
int main(void)
{
	FILE *file = fopen("/proc/sys/vm/overcommit_ratio", "r");
	int ratio = 0;

	return file && fscanf(file, "%d", &ratio) == 1 && ratio == 51 ? 0 : 1;
}
"""


def plain(race, name, folder):
    """Write one of our stressors as users have reproducers: one file, all headers in it."""
    top = data_dir("races") / race
    seen = set()

    def lines(path):
        for line in path.read_text(encoding="utf-8").splitlines():
            if not (found := QUOTED.match(line)):
                yield line
            elif found[1] not in seen:
                seen.add(found[1])
                beside = path.parent / found[1]
                yield from lines(
                    beside if beside.is_file() else data_dir("qemu") / "guest" / found[1]
                )

    made = folder / f"{name}.c"
    made.write_text("\n".join(lines(top / f"{name}.c")) + "\n", encoding="utf-8")
    return made


def verify(mmrace, program, after, *argv, before="vulnerable"):
    words = ("verify", "--no-attack", "--tree", "debian:6.1", "--repro", str(program))
    words += ("--before", before)
    done = mmrace(*words, "--after", after, *argv, timeout=3600)
    print(done.text)
    return done


def has_signature(race, folder):
    """Whether a run's failure is the one by which a race is recognised."""
    run = RunDir(Path(folder))
    output = "\n".join(line.text for line in parse(run.channel()).output)
    return any(
        any(in_report(one, crash, run.console()) for crash in run.crashes())
        or (one.output and in_output(one, output))
        for one in load_race(race).signature
    )


# The series of pagemap-thp-split are beside its race: its kernels have options that others lack.
ALL = ("vulnerable", "fixes")
ONE = ("vulnerable/pagemap-thp-split", "fixes/pagemap-thp-split")
CASES = [
    ("khugepaged-retract", "collapse-punch", ALL, ("--for", "10s")),
    ("hugetlb-uffd", "missing-by-migration", ALL, ("--for", "8s", "--fails-by", "exit")),
    ("hugetlb-anon-migration", "move-share", ALL, ("--for", "20s")),
    ("exec-stack-migration", "exec-storm", ALL, ("--for", "20s")),
    ("pagemap-thp-split", "read-split", ONE, ("--for", "20s", "--with", "pageflags")),
]


@pytest.mark.parametrize(("race", "program", "series", "how"), CASES, ids=[c[1] for c in CASES])
def test_a_plain_reproducer_tells_that_a_fix_holds(mmrace, tmp_path, race, program, series, how):
    before, after = series
    done = verify(mmrace, plain(race, program, tmp_path), after, *how, before=before)
    assert done.document["verdict"] == "FIXED", done.text
    failed = [run for run in done.document["learnt"]["runs"] if run["signature_matched"]]
    assert len(failed) >= 3
    assert all(has_signature(race, run["run_dir"]) for run in failed), done.text


WRONG = [
    ("hugetlb-uffd", "minor-by-migration", "alternatives/uffd-missing-only"),
    ("exec-stack-migration", "exec-storm", str(SERIES / "exec-stack-migration-shorter.patch")),
]


@pytest.mark.parametrize(("race", "program", "after"), WRONG, ids=[case[1] for case in WRONG])
def test_a_plain_reproducer_tells_that_half_a_fix_does_not(mmrace, tmp_path, race, program, after):
    how = ("--for", "8s", "--fails-by", "exit")
    done = verify(mmrace, plain(race, program, tmp_path), after, *how)
    assert done.document["verdict"] == "NOT_FIXED", done.text


def test_a_fix_that_is_never_executed_is_not_exercised(mmrace, tmp_path):
    program = tmp_path / "looks.c"
    program.write_text(LOOKS)
    how = ("--for", "2s", "--fails-by", "exit")
    done = verify(mmrace, program, str(SERIES / "never-executed.patch"), *how)
    assert done.document["verdict"] == "INCONCLUSIVE", done.text
    assert done.document["reason"].startswith("NOT_EXERCISED: the kernel after: "), done.text
    assert "do_mincore" in done.document["reason"]
    assert done.code == 3
