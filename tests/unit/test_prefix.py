# SPDX-License-Identifier: GPL-2.0-only
from types import SimpleNamespace

import pytest

from mmrace.building.buildlog import warnings
from mmrace.errors import BuildError, UserError
from mmrace.experiments.prefixes import Reached, prefix_names, walk
from mmrace.outcome import Judgement, Outcome

PATCHES = ("one", "two", "three")
OWN = Judgement(Outcome.CRASH, "BUG in it", signature_matched=True)
FOREIGN = Judgement(Outcome.CRASH, "WARNING elsewhere")
HELD = Judgement(Outcome.PASS)
NOTHING = Judgement(Outcome.NOT_EXERCISED)


def made(number, warned=(), touched=("mm/a.c",)):
    return SimpleNamespace(
        number=number,
        kernel=SimpleNamespace(warnings=tuple(warned)),
        applied=SimpleNamespace(touched=tuple((file, "p") for file in touched)),
    )


def walked(judged, builds=None):
    def build(number):
        found = (builds or {}).get(number, made(number))
        if isinstance(found, Exception):
            raise found
        return found

    return list(walk(PATCHES, build, lambda built: judged[built.number]))


@pytest.mark.parametrize(
    ("judged", "bad"),
    [
        ((HELD, HELD, HELD, HELD), None),
        ((OWN, OWN, OWN, HELD), None),
        ((OWN, HELD, HELD, HELD), None),
        ((OWN, OWN, OWN, OWN), (3, Reached.HOLDS)),
        ((OWN, HELD, OWN, HELD), (2, Reached.HOLDS)),
        ((OWN, FOREIGN, HELD, HELD), (1, Reached.HOLDS)),
        ((HELD, HELD, OWN, HELD), (2, Reached.HOLDS)),
        ((HELD, NOTHING, HELD, HELD), (1, Reached.SHOWN)),
    ],
)
def test_the_first_prefix_that_does_not_hold_ends_the_walk(judged, bad):
    found = walked(judged)
    assert [(one.number, one.bad) for one in found if one.bad] == ([bad] if bad else [])
    assert len(found) == (bad[0] if bad else 3)
    assert found[-1].exit_code == {None: 0, Reached.HOLDS: 1, Reached.SHOWN: 3}[bad and bad[1]]


@pytest.mark.parametrize(
    ("builds", "bad", "code"),
    [
        ({2: UserError("hunk 1 of mm/a.c")}, (2, Reached.APPLIES, "hunk 1 of mm/a.c"), 2),
        ({1: BuildError("mm/a.c:1: no")}, (1, Reached.BUILDS, "mm/a.c:1: no"), 4),
        ({2: made(2, ["mm/a.c: unused"])}, (2, Reached.WARNINGS, "mm/a.c: unused"), 1),
        ({0: made(0, ["mm/a.c: unused"]), 2: made(2, ["mm/a.c: unused"])}, None, 0),
        ({2: made(2, ["mm/other.c: unused"])}, None, 0),
    ],
)
def test_what_does_not_come_so_far_is_named(builds, bad, code):
    found = walked((HELD,) * 4, builds)
    last = found[-1]
    assert (None if last.bad is None else (last.number, last.bad, last.why)) == bad
    assert last.exit_code == code
    assert all(one.patch == PATCHES[one.number - 1] for one in found)


def test_names_of_prefixes():
    assert prefix_names("a.mbox#v2", 3) == [
        "a.mbox#v2[1]",
        "a.mbox#v2[1,2]",
        "a.mbox#v2[1,2,3]",
    ]


def test_warnings_are_told_apart_by_file_and_text():
    lines = [
        "  CC      mm/a.o",
        "/src/mm/a.c:10:5: warning: unused variable 'x' [-Wunused-variable]",
        "   10 |  int x;",
        "/src/mm/a.c:99:5: warning: unused variable 'x' [-Wunused-variable]",
        "vmlinux.o: warning: objtool: foo+0x1: unreachable",
        "ld: warning: creating DT_TEXTREL",
        "warning: in the middle",
    ]
    assert warnings(lines) == (
        "mm/a.c: unused variable 'x' [-Wunused-variable]",
        "vmlinux.o: objtool: foo+0x1: unreachable",
        "ld: creating DT_TEXTREL",
    )
