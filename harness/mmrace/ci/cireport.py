# SPDX-License-Identifier: GPL-2.0-only
"""What an unattended job found, for people and for CI: by cell, not by run.

A run that fails on the kernel before a fix is what a cell wants. So a report that counts runs would
be red for a job that went well.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mmrace.ci.checks import Result
from mmrace.ci.unattended import Done
from mmrace.home import write_file
from mmrace.reports import junit as junit_runs
from mmrace.reports import summary
from mmrace.reports.account import Traces, printable, read_all
from mmrace.reports.publish import page
from mmrace.reports.report import Section
from mmrace.runs.record import RunDir

_COLUMNS = ("cell", "result", "why", "runs", "guest time")


def write(folder: Path, done: Done, decoded: Traces | None = None) -> None:
    """Write report.html, junit.xml and summary.md."""
    sections = (Section("Cells", table(done.results)),)
    html = page(done.runs, done.title, sections=sections, decoded=decoded)
    write_file(folder / "report.html", html)
    write_file(folder / "junit.xml", junit(done.results, decoded))
    write_file(folder / "summary.md", markdown(done.results, done.title, decoded))


def blamed(results: Sequence[Result]) -> tuple[RunDir, ...]:
    """Runs whose failure decided against a cell."""
    return tuple(run for result in results for run in result.blamed)


def junit(results: Sequence[Result], decoded: Traces | None = None) -> str:
    """Render JUnit XML: a suite for each race, a case for each cell.

    What failed is a failure, what mmrace could not do an error, what is not certain is skipped.
    """
    made = JUnitXml("mmrace")
    for race in dict.fromkeys(result.cell.race.name for result in results):
        suite = TestSuite(race)
        suite.hostname = "mmrace"
        for result in results:
            if result.cell.race.name == race:
                suite.add_testcase(_case(result, decoded))
        made.add_testsuite(suite)
    suites = list(made)
    made.tests = sum(suite.tests for suite in suites)
    made.failures = sum(suite.failures for suite in suites)
    made.errors = sum(suite.errors for suite in suites)
    made.time = round(sum(suite.time for suite in suites), 3)
    raw: bytes = made.tostring()  # type: ignore[no-untyped-call]
    return raw.decode()


def _case(result: Result, decoded: Traces | None) -> TestCase:
    race = result.cell.race.name
    name = result.cell.name.removeprefix(race).lstrip("/ ")
    case = TestCase(printable(name), f"mmrace.{race}", round(result.seconds, 3))
    result_text = printable(f"{result.word}: {result.reason}")
    runs = read_all(result.blamed, decoded) if result.blamed else []
    text = "\n\n".join(junit_runs.explain(run) for run in runs) or result_text
    if result.exit_code == 1:
        failure = Failure(result_text, result.word)
        failure.text = text
        case.result = [failure]
    elif result.exit_code == 3:
        case.result = [Skipped(result_text)]
    elif result.exit_code:
        error = Error(result_text, result.word)
        error.text = text
        case.result = [error]
    case.system_out = printable("\n".join([result_text, *(f"run {run.id}" for run in result.runs)]))
    return case


def _rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    return [
        (one.cell.name, one.word, one.reason, str(len(one.runs)), f"{one.seconds:.0f} s")
        for one in results
    ]


def markdown(results: Sequence[Result], title: str, decoded: Traces | None = None) -> str:
    """Render a summary that also reads well as text: the cells, then each failure in full."""
    rows = [_COLUMNS, *_rows(results)]
    safe = [[" ".join(printable(cell).split()).replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[number]) for row in safe) for number in range(len(_COLUMNS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in safe
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    text = "\n".join([f"## {title}", "", *lines]) + "\n"
    if bad := blamed(results):
        text += "\n" + summary.markdown(bad, "What failed", decoded=decoded)
    return text


def table(results: Sequence[Result]) -> str:
    """Render the cells as an HTML table for the report."""
    head = "".join(f"<th>{escape(column)}</th>" for column in _COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>"
        for row in _rows(results)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def annotations(results: Sequence[Result], decoded: Traces | None = None) -> tuple[str, ...]:
    """Workflow commands for GitHub: each kind of failure, and each cell that got no answer."""
    bad = blamed(results)
    lines = list(summary.annotations(bad, decoded)) if bad else []
    for one in results:
        if one.exit_code and not one.blamed:
            word = "warning" if one.exit_code == 3 else "error"
            lines.append(summary.annotation(word, f"{one.word}: {one.cell.name}", one.reason))
    return tuple(lines)
