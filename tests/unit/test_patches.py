# SPDX-License-Identifier: GPL-2.0-only
"""Lint of the patches that mmrace brings; that they apply and build is tested on real trees."""

import re
from pathlib import Path

import pytest

from mmrace.data import data_dir
from mmrace.definitions.base import Pristine, load_bases
from mmrace.patching.series import resolve_series, series_names

TOP = data_dir("patches")
RACES = data_dir("races")
PATCHES = sorted([*TOP.glob("**/*.patch"), *RACES.glob("**/*.patch")])
SUBJECT = re.compile(r"^Subject: \[PATCH(?: \d+/\d+)?\] (\S+: [a-z].*[^.])$")
# git drops the blank that an empty context line has; nothing else may end in one.
NOISE = re.compile(r"^\+.*[ \t]$|^\+ +\t", re.M)


def unfolded(text: str) -> list[str]:
    """Header lines of a mail, each with its continuation lines."""
    return re.sub(r"\n[ \t]+", " ", text.partition("\n\n")[0]).splitlines()


def named(path: Path) -> str:
    """A patch by its place below patches/ or among the races."""
    return str(path.relative_to(TOP if path.is_relative_to(TOP) else RACES))


@pytest.mark.parametrize("path", PATCHES, ids=named)
def test_a_patch_is_in_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = unfolded(text)
    message, _, diff = text.partition("\n\n")[2].partition("\n---\n")
    assert re.match(r"From [0-9a-f]{40} Mon Sep 17 00:00:00 2001$", head[0])
    assert [line.partition(":")[0] for line in head[1:4]] == ["From", "Date", "Subject"]
    subject = SUBJECT.match(head[3])
    assert subject, head[3]
    assert len(subject[1]) <= 75
    assert message.strip()
    assert not re.search(r"^(Signed-off-by|Cc|Change-Id):", message, re.M | re.I)
    for line in message.splitlines():
        assert len(line) <= 75 or line.startswith(("Fixes:", "commit ", "  ")), line
        assert line == line.rstrip(), line
        if line.startswith("Fixes:"):
            assert re.fullmatch(r'Fixes: [0-9a-f]{12} \(".+"\)', line), line
    assert not NOISE.search(diff)
    assert diff.rstrip("\n").splitlines()[-1][:1] in " +-", "noise behind the diff"


@pytest.mark.parametrize("path", PATCHES, ids=named)
def test_a_fix_says_what_it_fixes(path: Path) -> None:
    folder = Path(named(path)).parts[1]
    no_fix = folder in ("vulnerable", "build")
    assert no_fix == ("\nFixes: " not in path.read_text(encoding="utf-8"))


def test_series_list_what_is_there() -> None:
    for series in TOP.glob("**/series"):
        lines = [line.partition("#")[0].strip() for line in series.read_text().splitlines()]
        listed = [line for line in lines if line]
        there = [str(path.relative_to(series.parent)) for path in series.parent.glob("**/*.patch")]
        assert sorted(listed) == sorted(there), series
        assert len(set(listed)) == len(listed)
    listed_in = {series.parent for series in TOP.glob("**/series")}
    assert all(listed_in & set(path.parents) for path in TOP.glob("**/*.patch"))


def test_bases_do_not_overlap_and_cover_what_they_were_tested_on() -> None:
    bases = load_bases()
    assert [base.name for base in bases][-4:] == ["6.6", "6.12", "6.18", "7.3"]
    for base in bases:
        assert [other.name for other in bases if other.includes(base.tested)] == [base.name]


def test_every_series_of_a_base_is_for_its_races() -> None:
    for base in load_bases():
        for name in series_names(base):
            series = resolve_series(name, base)
            assert series.outside is False
            races = {patch.group for patch in series.patches}
            assert races <= ({""} if name == "build" else set(base.race)), name
            if name == "vulnerable":
                states = {base.race[race].pristine for race in races}
                assert states <= {Pristine.FIXED}
