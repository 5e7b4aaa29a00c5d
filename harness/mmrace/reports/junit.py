# SPDX-License-Identifier: GPL-2.0-only
"""JUnit XML as GitHub's actions, GitLab and Jenkins read it.

A suite is a race, a case a workload on a kernel, so that its name stays the same from one pipeline
to the next. GitLab shows a failure's text and a case's ``classname``, Jenkins the suite's name and
the message: all say what failed. A case has no properties and the root no count of skips, which
Jenkins' xunit plugin refuses; what belongs to one run stands in its output.
"""

from collections.abc import Sequence

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mmrace.outcome import Outcome
from mmrace.reports.account import Account, Traces, printable, read_all
from mmrace.reports.excerpt import trimmed
from mmrace.runs.record import NotRun, RunDir

EXCERPT = 8_000  # characters of a crash in a case
OUTPUT = 200  # lines of the workload's output in a case


def document(
    runs: Sequence[RunDir], not_run: Sequence[NotRun] = (), decoded: Traces | None = None
) -> str:
    """Render the XML; UserError for a directory that holds no run."""
    accounts = read_all(runs, decoded) if runs or not not_run else []
    made = JUnitXml("mmrace")
    for race in dict.fromkeys([*(a.spec.race.name for a in accounts), *(n.race for n in not_run)]):
        made.add_testsuite(
            _suite(
                race,
                [item for item in accounts if item.spec.race.name == race],
                [item for item in not_run if item.race == race],
            )
        )
    suites = list(made)
    made.tests = sum(suite.tests for suite in suites)
    made.failures = sum(suite.failures for suite in suites)
    made.errors = sum(suite.errors for suite in suites)
    made.time = round(sum(suite.time for suite in suites), 3)
    raw: bytes = made.tostring()  # type: ignore[no-untyped-call]
    return raw.decode()


def _suite(race: str, accounts: Sequence[Account], not_run: Sequence[NotRun]) -> TestSuite:
    suite = TestSuite(race)
    suite.hostname = "mmrace"
    started = [item.started for item in accounts if item.started]
    if started:
        suite.timestamp = min(started).strftime("%Y-%m-%dT%H:%M:%S")
    for name, values in {
        "kernel": (item.kernel for item in accounts),
        "kernel_id": (item.spec.kernel_id for item in accounts),
        "tree": (f"{item.spec.tree} {item.spec.revision}" for item in accounts),
        "machine": (item.spec.machine.name for item in accounts),
        "accelerator": (item.vm.accel for item in accounts),
    }.items():
        if text := ", ".join(dict.fromkeys(values)):
            suite.add_property(name, printable(text))
    seen: dict[str, int] = {}
    for item in accounts:
        name = f"{item.spec.workload.name} on {item.kernel}"
        seen[name] = seen.get(name, 0) + 1
        suite.add_testcase(_case(item, name if seen[name] == 1 else f"{name} #{seen[name]}"))
    for absent in not_run:
        case = TestCase(absent.workload, f"mmrace.{race}", 0.0)
        case.result = [Skipped(printable(absent.why))]
        suite.add_testcase(case)
    return suite


def _case(item: Account, name: str) -> TestCase:
    """One run. Outcomes that say nothing of the kernel are errors or skips, never passes."""
    case = TestCase(printable(name), f"mmrace.{item.spec.race.name}", round(item.vm.seconds, 3))
    outcome, title = item.judged.outcome, printable(item.title)
    if outcome.failed:
        case.result = [_result(Failure(f"{outcome}: {title}", str(outcome)), explain(item))]
    elif outcome is Outcome.INFRA:
        case.result = [_result(Error(f"{outcome}: {title}", str(outcome)), explain(item))]
    elif outcome is not Outcome.PASS:
        case.result = [Skipped(f"{outcome}: {printable('; '.join(item.judged.notes) or title)}")]
    output = [line.text for line in item.channel.output[-OUTPUT:]]
    case.system_out = printable("\n".join([*_facts(item), "", *output]))
    return case


def _result(result: Failure | Error, text: str) -> Failure | Error:
    result.text = text
    return result


def _facts(item: Account) -> list[str]:
    """What belongs to this run alone."""
    exercised = (f"{name} {count}" for name, (count, _) in item.judged.exercised.items())
    return [
        f"run {item.run.id}, seed {item.spec.seed}, kernel {item.spec.kernel_id}",
        f"exercised: {', '.join(exercised)}",
    ]


def explain(item: Account) -> str:
    """What failed, where, how to see it again, and the crash without its registers."""
    lines = [f"{item.judged.outcome}: {item.title}"]
    if item.place:
        place = item.place
        at = f" at {place.location}" if place.location else ""
        lines.append(f"where: {place.function}{place.offset}{at}")
    lines += [f"note: {note}" for note in (*item.spec.notes, *item.judged.notes)]
    lines += [f"again: {item.again}", f"   or: {item.elsewhere}", f"run: {item.run.folder}"]
    if text := trimmed(item.report, EXCERPT):
        lines += ["", text]
    return printable("\n".join(lines))
