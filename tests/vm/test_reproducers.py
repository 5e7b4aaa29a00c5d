# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts from programs alone: no race is named, the failure is learnt. Minutes each."""

import re
from pathlib import Path

import pytest

from mmrace.data import data_dir
from mmrace.definitions.race import load_race

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
    return mmrace(*words, "--after", after, *argv, timeout=3600)


CASES = [
    ("khugepaged-retract", "collapse-punch", ("--for", "10s")),
    ("hugetlb-uffd", "missing-by-migration", ("--for", "8s", "--fails-by", "exit")),
    ("hugetlb-anon-migration", "move-unmap", ("--for", "20s")),
    ("exec-stack-migration", "exec-storm", ("--for", "20s")),
]


@pytest.mark.parametrize(("race", "program", "how"), CASES, ids=[case[1] for case in CASES])
def test_a_plain_reproducer_tells_that_a_fix_holds(mmrace, tmp_path, race, program, how):
    done = verify(mmrace, plain(race, program, tmp_path), "fixes", *how)
    assert done.document["verdict"] == "FIXED", done.text
    learnt = done.document["learnt"]["failure"]
    own = [one.title for one in load_race(race).signature if one.title]
    assert learnt == "the program's own end" or not own or any(re.search(t, learnt) for t in own)


def test_a_plain_reproducer_tells_that_half_a_fix_does_not(mmrace, tmp_path):
    program = plain("hugetlb-uffd", "minor-by-migration", tmp_path)
    how = ("--for", "8s", "--fails-by", "exit")
    done = verify(mmrace, program, "alternatives/uffd-missing-only", *how)
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
