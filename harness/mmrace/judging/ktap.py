# SPDX-License-Identifier: GPL-2.0-only
"""Test results in a log: KTAP (selftests, kunit, mmrace's own channel) and LTP's lines; pure.

Documentation/dev-tools/ktap.rst, tools/testing/selftests/kselftest.h, LTP's lib/tst_res.c.
A log may be cut off, have lost lines, or have a console around it: what is no result is passed
over.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from mmrace.crash import dmesg
from mmrace.crash.prefix import like


class Result(StrEnum):
    """How one test ended."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SKIP = "skip"
    EXPECTED = "expected failure"  # TODO and XFAIL
    LOST = "lost"  # its result never came: the kernel died in it, or lines are lost


@dataclass(frozen=True)
class Case:
    """One test; ``subtests`` are those inside it, ``note`` is what its result line adds.

    ``planned``: how many subtests were announced, None where no plan was seen.
    """

    number: int
    name: str
    result: Result
    note: str = ""
    planned: int | None = None
    subtests: tuple["Case", ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of subtests that were announced and have no result."""
        seen = {case.number for case in self.subtests}
        return tuple(n for n in range(1, (self.planned or 0) + 1) if n not in seen)

    @property
    def whole(self) -> bool:
        """Whether a plan was seen here and below, and every announced result came."""
        if self.result is Result.LOST:
            return False
        if not self.subtests and self.planned is None:
            return True
        parts = all(case.whole for case in self.subtests)
        return parts and self.planned is not None and not self.missing


@dataclass(frozen=True)
class Ktap:
    """All results of a log; ``top`` holds those of the outermost level as its subtests."""

    top: Case
    bailed: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is lost: a plan at every level, and all that it announced."""
        return not self.bailed and self.top.whole

    def count(self, result: Result) -> int:
        """How many of the outermost results are of a kind."""
        return sum(1 for case in self.top.subtests if case.result is result)


_RESULT = re.compile(
    r"(?P<result>ok|not ok)(?: (?P<number>\d+))?(?: -)?"
    r"(?: (?P<name>(?:[^#\\]|\\.|#(?! ?[A-Za-z]))*))?"
    r"(?:# ?(?P<note>.*))?$"
)
_PLAN = re.compile(r"1\.\.(?P<last>\d+)\s*(?:#.*)?$")
_SUBTEST = re.compile(r"# Subtest: (?P<name>.*)$")
_VERSION = re.compile(r"(?P<prefix>[^#]{0,100}?)K?TAP version \d+\s*$")
_INDENT = 4  # blanks for each level of nesting
_BAIL = re.compile(r"Bail out!\s*(?P<why>.*)$")


@dataclass
class _Level:
    """Results at one indentation that no enclosing result has claimed yet."""

    cases: list[Case] = field(default_factory=list)
    planned: int | None = None
    name: str = ""

    @property
    def begun(self) -> bool:
        """Whether anything was said at this level."""
        return bool(self.cases or self.name or self.planned is not None)


class _Reader:
    def __init__(self) -> None:
        self.levels: dict[int, _Level] = {}
        self.bailed = ""
        self.versions = 0
        self.prefix: re.Pattern[str] | None = None  # of all lines, as the first version line has it

    def line(self, text: str) -> None:
        """Read one line of a log."""
        if match := _VERSION.match(text):
            self.versions += 1
            before = match["prefix"]
            if self.versions == 1 and (before.strip() or len(before) % _INDENT):
                self.prefix = like(before)
        if self.prefix and (match := self.prefix.match(text)):
            text = text[match.end() :]
        depth, rest = _depth(text)
        if match := _RESULT.match(rest):
            self.result(depth, match)
        elif match := _PLAN.match(rest):
            self.level(depth).planned = int(match["last"])
        elif match := _SUBTEST.match(rest):
            self.level(depth).name = match["name"].strip()
        elif match := _BAIL.match(rest):
            self.bailed = match["why"].strip() or "Bail out!"

    def level(self, depth: int) -> _Level:
        return self.levels.setdefault(depth, _Level())

    def result(self, depth: int, match: re.Match[str]) -> None:
        below = self.claim(depth)
        level = self.level(depth)
        note = (match["note"] or "").strip()
        case = Case(
            int(match["number"]) if match["number"] else len(level.cases) + 1,
            (match["name"] or "").strip() or below.name,
            _verdict(match["result"], note),
            note,
            below.planned,
            tuple(below.cases),
        )
        level.cases.append(case)

    def claim(self, depth: int) -> _Level:
        """Take all that is indented deeper than a result: it belongs to that result."""
        deeper = sorted(key for key in self.levels if key > depth)
        taken = _Level()
        for key in reversed(deeper):
            level = self.levels.pop(key)
            if taken.begun:  # its own result line is lost
                level.cases.append(_lost_case(taken, len(level.cases) + 1))
            taken = level
        return taken

    def end(self) -> Ktap:
        below = self.claim(0)
        top = self.level(0)
        if below.begun:
            top.cases.append(_lost_case(below, len(top.cases) + 1))
        result = Result.LOST if not top.cases else _worst(top.cases)
        return Ktap(Case(0, top.name, result, "", top.planned, tuple(top.cases)), self.bailed)


_STEP = re.compile(r"    |\t|  (?! )|# (?!Subtest: )")


def _depth(text: str) -> tuple[int, str]:
    """Indentation, as kunit (four spaces) and kselftest (``# ``) write it, and the rest."""
    depth = position = 0
    while match := _STEP.match(text, position):
        position = match.end()
        depth += 1
    return depth, text[position:]


def _lost_case(level: _Level, number: int) -> Case:
    return Case(number, level.name, Result.LOST, "", level.planned, tuple(level.cases))


def _verdict(word: str, note: str) -> Result:
    directive = note.split(" ", 1)[0].rstrip(":").upper()
    if directive in ("TODO", "XFAIL"):
        return Result.EXPECTED
    if directive == "SKIP":
        return Result.SKIP
    return Result.PASS if word == "ok" else Result.FAIL


def _worst(cases: list[Case]) -> Result:
    results = {case.result for case in cases}
    order = (Result.LOST, Result.FAIL, Result.PASS, Result.EXPECTED, Result.SKIP)
    return next(result for result in order if result in results)


def parse(data: bytes) -> Ktap:
    """Read all KTAP in a log; timestamps and other prefixes of a console do not matter."""
    reader = _Reader()
    for raw in data.splitlines():
        for line in dmesg.split(raw, 0):
            reader.line(line.text)
    return reader.end()


@dataclass(frozen=True)
class Ltp:
    """What LTP tests said: ``results`` are (where, kind, text), ``summary`` their own counts.

    Kinds are TPASS, TFAIL, TBROK, TCONF and TWARN. ``complete``: the summary came.
    """

    results: tuple[tuple[str, str, str], ...]
    summary: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether the test came to its end."""
        return bool(self.summary)

    def count(self, kind: str) -> int:
        """How many results are of a kind."""
        return sum(1 for _, found, _ in self.results if found == kind)


_LTP = re.compile(
    r"(?P<where>[\w./-]+(?::\d+)?)\s*:?\s+(?P<kind>T(?:PASS|FAIL|BROK|CONF|WARN))\b:?\s*"
)
_OLD_LTP = re.compile(r"(?P<where>[\w.-]+)\s+\d+\s+(?P<kind>T(?:PASS|FAIL|BROK|CONF|WARN))\s*:\s*")
_COUNT = re.compile(r"(?P<word>passed|failed|broken|skipped|warnings)\s+(?P<count>\d+)\s*$")


def parse_ltp(data: bytes) -> Ltp:
    """Read the result lines of LTP's new and old library, and the summary at the end."""
    results = []
    summary: dict[str, int] = {}
    counting = False
    for raw in data.splitlines():
        for line in dmesg.split(raw, 0):
            text = line.text.strip()
            if match := _OLD_LTP.match(text) or _LTP.match(text):
                results.append((match["where"], match["kind"], text[match.end() :]))
            elif text == "Summary:":
                counting = True
            elif counting and (count := _COUNT.match(text)):
                summary[count["word"]] = int(count["count"])
    return Ltp(tuple(results), summary)
