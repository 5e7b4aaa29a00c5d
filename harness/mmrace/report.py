# SPDX-License-Identifier: GPL-2.0-only
"""Reports from run directories: one self-contained HTML file, JUnit XML."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mmrace import __version__, channel, crash
from mmrace.outcome import Outcome
from mmrace.record import RunDir

CONTEXT = 20_000  # bytes of console shown on either side of what matters
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1bc|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Section:
    """A part of the report that other modules add; ``html`` is trusted."""

    title: str
    html: str


@dataclass(frozen=True)
class NotRun:
    """A workload that was not run, and why."""

    race: str
    workload: str
    why: str


def html(
    runs: Sequence[RunDir],
    *,
    title: str,
    made: str,
    host: str,
    not_run: Sequence[NotRun] = (),
    sections: Sequence[Section] = (),
) -> str:
    """Render the report; ``made`` is the date and ``host`` the machine, as people read them."""
    views = [_view(run) for run in runs]
    environment = Environment(
        loader=PackageLoader("mmrace"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        title=title,
        made=made,
        host=host,
        version=__version__,
        tally=sorted(Counter(view["outcome"] for view in views).items()),
        failures=[view for view in views if view["failed"]],
        runs=views,
        skipped=not_run,
        sections=sections,
    )


def _view(run: RunDir) -> dict[str, Any]:
    spec, vm, judged = run.spec(), run.vm(), run.judgement()
    console, said = run.console(), channel.parse(run.channel())
    crashes = crash.parse(console)
    return {
        "id": run.id,
        "race": spec.race.name,
        "workload": spec.workload.name,
        "steered": spec.steered,
        "kernel": f"{spec.release} {'+'.join(spec.series) or 'as it is'}",
        "kernel_id": spec.kernel_id,
        "tree": spec.tree,
        "revision": spec.revision,
        "seed": spec.seed,
        "accel": vm.accel,
        "accel_reason": vm.accel_reason,
        "qemu": vm.version,
        "qemu_command": shlex.join(vm.argv),
        "seconds": vm.seconds,
        "outcome": str(judged.outcome),
        "failed": judged.outcome.failed,
        "expected_signature": judged.signature_matched,
        "title": judged.title,
        "seconds_to_failure": judged.seconds_to_failure,
        "exercised_text": ", ".join(
            f"{name} {count} (floor {floor})" for name, (count, floor) in judged.exercised.items()
        ),
        "windows": judged.windows,
        "notes": judged.notes,
        "command": spec.command,
        "crashes": crashes,
        "console": _console(console, crashes),
        "results": [line.text for line in said.output],
        "counters": sorted(said.counters.items()),
        "config": (run.folder / "config").read_text(encoding="utf-8", errors="replace"),
    }


def _console(data: bytes, crashes: Sequence[crash.Crash]) -> list[tuple[str, str]]:
    """The console in pieces: ``log``, ``crash``, and ``cut`` where a long log is left out."""
    if not crashes:
        tail = data[-CONTEXT:]
        cut = [("cut", f"[{len(data) - len(tail)} bytes before]")] if len(tail) < len(data) else []
        return [*cut, ("log", _readable(tail))]
    pieces: list[tuple[str, str]] = []
    start = max(0, crashes[0].start - CONTEXT)
    if start:
        pieces.append(("cut", f"[{start} bytes before]"))
    at = start
    for found in crashes:
        if found.start > at:
            pieces.append(("log", _readable(data[at : found.start])))
        pieces.append(("crash", _readable(data[max(at, found.start) : found.end])))
        at = max(at, found.end)
    rest = data[at : at + CONTEXT]
    pieces.append(("log", _readable(rest)))
    if at + len(rest) < len(data):
        pieces.append(("cut", f"[{len(data) - at - len(rest)} bytes after]"))
    return pieces


def _readable(data: bytes) -> str:
    text = data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("", text)


def junit(runs: Sequence[RunDir], not_run: Sequence[NotRun] = ()) -> str:
    """JUnit XML: a suite for each race, a case for each run."""
    suites: dict[str, TestSuite] = {}
    for run in runs:
        spec, judged = run.spec(), run.judgement()
        kernel = f"{spec.release} {'+'.join(spec.series) or 'as it is'}"
        case = TestCase(f"{spec.workload.name} on {kernel}", f"mmrace.{spec.race.name}")
        case.time = round(run.vm().seconds, 3)
        text = "\n".join([judged.title, *judged.notes, f"again: {spec.command}", str(run.folder)])
        if judged.outcome.failed:
            case.result = [Failure(f"{judged.outcome}: {judged.title}", str(judged.outcome))]
            case.system_out = text
        elif judged.outcome is Outcome.INFRA:
            case.result = [Error(judged.title or "infrastructure", "INFRA")]
            case.system_out = text
        elif judged.outcome is not Outcome.PASS:
            case.result = [Skipped(f"{judged.outcome}: {'; '.join(judged.notes)}")]
        _suite(suites, spec.race.name).add_testcase(case)
    for item in not_run:
        case = TestCase(item.workload, f"mmrace.{item.race}")
        case.result = [Skipped(item.why)]
        _suite(suites, item.race).add_testcase(case)
    document = JUnitXml("mmrace")
    for suite in suites.values():
        document.add_testsuite(suite)
    raw: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return raw.decode()


def _suite(suites: dict[str, TestSuite], race: str) -> TestSuite:
    return suites.setdefault(race, TestSuite(race))
