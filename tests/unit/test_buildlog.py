# SPDX-License-Identifier: GPL-2.0-only
import pytest

from mmrace.building.buildlog import DETAIL_LINES, blame, first_failure
from mmrace.errors import no_room

COMPILE = """\
  CC      mm/rmap.o
  CC      mm/migrate.o
In file included from /src/include/linux/mm.h:7,
                 from /src/mm/migrate.c:16:
/src/mm/migrate.c: In function 'unmap_and_move_huge_page':
/src/mm/migrate.c:1290:9: error: 'mapping' undeclared (first use in this function)
 1290 |         mapping = NULL;
      |         ^~~~~~~
make[3]: *** [/src/scripts/Makefile.build:250: mm/migrate.o] Error 1
make[2]: *** Waiting for unfinished jobs....
  CC      mm/gup.o
make: *** [Makefile:234: __sub-make] Error 2
"""


def test_the_compilers_message_and_its_surroundings() -> None:
    found = first_failure(COMPILE.splitlines())
    assert found.file == "mm/migrate.c"
    assert found.summary == "mm/migrate.c:1290: 'mapping' undeclared (first use in this function)"
    lines = found.detail.splitlines()
    assert lines[0] == "In file included from include/linux/mm.h:7,"
    assert lines[-1] == "      |         ^~~~~~~"


def test_the_patch_that_touched_the_file() -> None:
    found = first_failure(COMPILE.splitlines())
    assert blame(found, {"mm/migrate.c": "0001-x.patch"}).endswith(
        "(0001-x.patch touches mm/migrate.c)"
    )
    assert "no patch touches mm/migrate.c" in blame(found, {"mm/rmap.c": "0001-x.patch"})
    assert blame(found, {}) == found.summary


@pytest.mark.parametrize(
    ("line", "summary"),
    [
        ("/src/mm/a.c:3:10: fatal error: linux/none.h: No such file or directory",
         "mm/a.c:3: linux/none.h: No such file or directory"),
        ("ld: mm/rmap.o: in function `f': undefined reference to `g'",
         "mm/rmap.o: in function `f': undefined reference to `g'"),
        ("rmap.c:(.text+0x5): undefined reference to `g'",
         "rmap.c:(.text+0x5): undefined reference to `g'"),
        ("error: Cannot generate ORC metadata, please install libelf-dev",
         "error: Cannot generate ORC metadata, please install libelf-dev"),
        ("make[1]: *** No rule to make target 'mm/none.o', needed by 'mm/'.  Stop.",
         "make[1]: *** No rule to make target 'mm/none.o', needed by 'mm/'.  Stop."),
        ("Segmentation fault", "Segmentation fault"),
    ],
)  # fmt: skip
def test_other_errors(line: str, summary: str) -> None:
    assert first_failure(["  CC      mm/a.o", line]).summary == summary


def test_a_warning_is_no_error() -> None:
    lines = ["mm/a.c:1:2: warning: unused", "mm/b.c:9:1: error: bad"]
    assert first_failure(lines).file == "mm/b.c"


def test_a_flood_is_cut() -> None:
    lines = ["mm/a.c:1:1: error: first", *(f"mm/a.c:{n}:1: note: more" for n in range(500))]
    assert len(first_failure(lines).detail.splitlines()) == DETAIL_LINES


def test_a_full_disk_is_told_from_a_bad_patch() -> None:
    assert no_room("fatal error: error writing to /tmp/x.s: No space left on device")
    assert no_room("cp: error writing 'x': Disk quota exceeded")
    assert not no_room(COMPILE)


def test_what_a_tool_says_without_the_word_error_is_told() -> None:
    lines = [
        "  CC      mm/hugetlb.o",
        "fixdep: error opening file: mm/.hugetlb.o.d: No such file or directory",
        "make[3]: *** [scripts/Makefile.build:255: mm/hugetlb.o] Error 2",
        "make[2]: *** [scripts/Makefile.build:500: mm] Error 2",
    ]
    failure = first_failure(lines)
    assert failure.summary == lines[1]
    lines[1] = "/bin/sh: 1: cannot create mm/.hugetlb.o.cmd: Permission denied"
    assert first_failure(lines).summary == lines[1]
    del lines[1]
    assert "*** [scripts/Makefile.build:255: mm/hugetlb.o] Error 2" in first_failure(lines).summary
