# SPDX-License-Identifier: GPL-2.0-only
"""Runs as KTAP (Documentation/dev-tools/ktap.rst): a race is a test, its runs are subtests."""

import re
from collections.abc import Sequence

from mmrace import __version__
from mmrace.outcome import Outcome
from mmrace.reports.account import Account, Traces, printable, read_all
from mmrace.reports.excerpt import trimmed
from mmrace.runs.record import NotRun, RunDir

EXCERPT = 4_000  # characters of a crash in the diagnostic lines
_UNFIT = re.compile(r"\s*[#\n\\]\s*")  # in a description: begins a directive, or ends the line


def document(
    runs: Sequence[RunDir], not_run: Sequence[NotRun] = (), decoded: Traces | None = None
) -> str:
    """Render KTAP version 1; UserError for a directory that holds no run."""
    accounts = read_all(runs, decoded) if runs or not not_run else []
    races = dict.fromkeys([*(a.spec.race.name for a in accounts), *(n.race for n in not_run)])
    lines = ["KTAP version 1", f"# mmrace {__version__}", f"1..{len(races)}"]
    for number, race in enumerate(races, 1):
        mine = [item for item in accounts if item.spec.race.name == race]
        absent = [item for item in not_run if item.race == race]
        lines += [f"  {line}" if line else "" for line in _race(race, mine, absent)]
        lines.append(_line(number, race, [item.judged.outcome for item in mine]))
    return "\n".join(lines) + "\n"


def _race(race: str, accounts: Sequence[Account], absent: Sequence[NotRun]) -> list[str]:
    lines = ["KTAP version 1", f"# Subtest: {race}", f"1..{len(accounts) + len(absent)}"]
    for number, item in enumerate(accounts, 1):
        lines += [f"# {line}" for line in _diagnostics(item)]
        name = f"{item.spec.workload.name} on {item.kernel}"
        lines.append(_line(number, name, [item.judged.outcome], "; ".join(item.judged.notes)))
    for number, missing in enumerate(absent, len(accounts) + 1):
        lines.append(f"ok {number} {missing.workload} # SKIP {_one_line(missing.why)}")
    return lines


def _line(number: int, name: str, outcomes: Sequence[Outcome], why: str = "") -> str:
    """A result: a skip if it is no evidence about the kernel, not ok if mmrace failed."""
    if any(item.failed or item is Outcome.INFRA for item in outcomes):
        return f"not ok {number} {_one_line(name)}"
    if Outcome.PASS in outcomes:
        return f"ok {number} {_one_line(name)}"
    word = _one_line(f"{outcomes[0]} {why}") if outcomes else "not run"
    return f"ok {number} {_one_line(name)} # SKIP {word}"


def _diagnostics(item: Account) -> list[str]:
    """What precedes a result that needs an explanation."""
    facts = [f"run {item.run.id} seed {item.spec.seed} seconds {item.vm.seconds:.1f}"]
    facts += [f"exercised {name} {count}" for name, (count, _) in item.judged.exercised.items()]
    if item.judged.outcome is Outcome.PASS:
        return facts
    facts.append(f"{item.judged.outcome}: {item.title}")
    if item.place and item.place.location:
        facts.append(f"at {item.place.location}")
    facts.append(f"again: {item.again}")
    if item.crash:
        facts += trimmed(item.report, EXCERPT).splitlines()
    return [line for fact in facts for line in printable(fact).splitlines()]


def _one_line(text: str) -> str:
    return _UNFIT.sub(" ", printable(text)).strip()
