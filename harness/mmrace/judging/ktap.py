# SPDX-License-Identifier: GPL-2.0-only
"""Test results in a log: KTAP (selftests, kunit, mmrace's own channel) and LTP's lines; pure.

Documentation/dev-tools/ktap.rst, tools/testing/selftests/kselftest.h, LTP's lib/tst_res.c. A log
may be cut off, have lost lines, or be mixed with a console; lines without a result are skipped.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from mmrace.crash import dmesg
from mmrace.crash.prefix import like


class Result(StrEnum):
    """The result of one test."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SKIP = "skip"
    EXPECTED = "expected failure"  # TODO and XFAIL
    LOST = "lost"  # it has no result: the kernel died in it, or lines are lost


@dataclass(frozen=True)
class Case:
    """One test with its ``subtests``; ``note``: the text after the result (directive, reason).

    ``planned``: number of subtests announced, None without a plan.
    """

    number: int
    name: str
    result: Result
    note: str = ""
    planned: int | None = None
    subtests: tuple["Case", ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of announced subtests without a result."""
        seen = {case.number for case in self.subtests}
        return tuple(n for n in range(1, (self.planned or 0) + 1) if n not in seen)

    @property
    def whole(self) -> bool:
        """Whether this test and all below have a plan, and every announced result."""
        if self.result is Result.LOST:
            return False
        if not self.subtests and self.planned is None:
            return True
        parts = all(case.whole for case in self.subtests)
        return parts and self.planned is not None and not self.missing


@dataclass(frozen=True)
class Ktap:
    """All results of a log; ``top`` has the outermost ones as its subtests."""

    top: Case
    bailed: str = ""

    @property
    def complete(self) -> bool:
        """Whether no result is lost: each level has a plan, and every announced result."""
        return not self.bailed and self.top.whole

    def count(self, result: Result) -> int:
        """Number of outermost results of a kind."""
        return sum(1 for case in self.top.subtests if case.result is result)


_RESULT = re.compile(
    r"(?P<result>ok|not ok)(?: (?P<number>\d+))?(?: -)?"
    r"(?: (?P<name>(?:[^#\\]|\\.|#(?! ?[A-Za-z]))*))?"
    r"(?:# ?(?P<note>.*))?$"
)
_PLAN = re.compile(r"1\.\.(?P<last>\d+)\s*(?:#.*)?$")
_SUBTEST = re.compile(r"# Subtest: (?P<name>.*)$")
_VERSION = re.compile(r"(?P<prefix>[^#]{0,100}?)K?TAP version \d+\s*$")
_INDENT = 4  # spaces per level of nesting
_BAIL = re.compile(r"Bail out!\s*(?P<why>.*)$")


@dataclass
class _Level:
    """Results at one indentation that belong to no enclosing result yet."""

    cases: list[Case] = field(default_factory=list)
    planned: int | None = None
    name: str = ""

    @property
    def begun(self) -> bool:
        """Whether there was any result or plan at this level."""
        return bool(self.cases or self.name or self.planned is not None)


class _Reader:
    def __init__(self) -> None:
        self.levels: dict[int, _Level] = {}
        self.bailed = ""
        self.versions = 0
        self.prefix: re.Pattern[str] | None = None  # of every line, as in the first version line

    def line(self, text: str) -> None:
        """Parse one line of a log."""
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
        """Move all results indented deeper than a result below that result."""
        deeper = sorted(key for key in self.levels if key > depth)
        taken = _Level()
        for key in reversed(deeper):
            level = self.levels.pop(key)
            if taken.begun:  # their enclosing result line is lost
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
    """Split a line into its nesting depth and the rest.

    kunit indents by four spaces, kselftest by ``# ``.
    """
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
    """Parse all KTAP in a log, with or without a console's timestamps and other prefixes."""
    reader = _Reader()
    for raw in data.splitlines():
        for line in dmesg.split(raw, 0):
            reader.line(line.text)
    return reader.end()


@dataclass(frozen=True)
class Ltp:
    """Results of LTP tests: ``results`` are (where, kind, text), ``summary`` LTP's own counts.

    Kinds are TPASS, TFAIL, TBROK, TCONF and TWARN. ``complete``: the summary was found.
    """

    results: tuple[tuple[str, str, str], ...]
    summary: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether the test ran to its end."""
        return bool(self.summary)

    def count(self, kind: str) -> int:
        """Number of results of a kind."""
        return sum(1 for _, found, _ in self.results if found == kind)


_LTP = re.compile(
    r"(?P<where>[\w./-]+(?::\d+)?)\s*:?\s+(?P<kind>T(?:PASS|FAIL|BROK|CONF|WARN))\b:?\s*"
)
_OLD_LTP = re.compile(r"(?P<where>[\w.-]+)\s+\d+\s+(?P<kind>T(?:PASS|FAIL|BROK|CONF|WARN))\s*:\s*")
_COUNT = re.compile(r"(?P<word>passed|failed|broken|skipped|warnings)\s+(?P<count>\d+)\s*$")


def parse_ltp(data: bytes) -> Ltp:
    """Parse the result lines of LTP's new and old library, and the summary at the end."""
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
