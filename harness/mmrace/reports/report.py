# SPDX-License-Identifier: GPL-2.0-only
"""The report that people read: one HTML file that needs nothing else, from run directories."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmrace import __version__
from mmrace.reports import excerpt, meeting, timeline
from mmrace.reports.account import Account, Traces, groups, printable, read_all
from mmrace.reports.excerpt import Piece
from mmrace.runs.record import NotRun, RunDir

__all__ = ["NotRun", "Section", "html"]

DETAILED = 60  # runs with console and output; of more than that, failures and the first others
CALLERS = 6  # functions named beside the one that matters


@dataclass(frozen=True)
class Section:
    """A part of the report that other modules add; ``html`` is trusted."""

    title: str
    html: str


@dataclass(frozen=True)
class _Detail:
    """The long parts of one run, ready to be shown."""

    timeline: Markup
    meeting: Markup
    console: tuple[Piece, ...]
    output: tuple[tuple[bool, str], ...]
    results: tuple[str, ...]
    counters: tuple[tuple[str, int], ...]
    qemu: str


def html(
    runs: Sequence[RunDir],
    *,
    title: str,
    made: str,
    host: str,
    not_run: Sequence[NotRun] = (),
    sections: Sequence[Section] = (),
    decoded: Traces | None = None,
) -> str:
    """Render the report; ``made`` is the date and ``host`` the machine, as people read them.

    ``decoded`` has, by run id, the trace of a run's crash with source lines. Raises UserError for
    a directory that holds no run.
    """
    accounts = read_all(runs, decoded) if runs or not not_run else []
    failures = groups(accounts)
    environment = Environment(
        loader=PackageLoader("mmrace"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        made=made,
        host=host,
        version=__version__,
        tally=_tally(accounts, not_run),
        groups=failures,
        quiet=[item for item in accounts if _says_nothing(item)],
        runs=accounts,
        details=_details(accounts),
        configs=_configs(accounts),
        callers=CALLERS,
        skipped=not_run,
        sections=sections,
    )


def _tally(accounts: Sequence[Account], not_run: Sequence[NotRun]) -> list[tuple[str, int]]:
    """How many runs there are of each outcome, failures first."""
    found = Counter(str(item.judged.outcome) for item in accounts)
    order = ("CRASH", "FAIL", "HANG", "INFRA", "INFEASIBLE", "NOT_EXERCISED", "PASS")
    tally = [(word, found[word]) for word in order if found[word]]
    return [*tally, ("NOT_RUN", len(not_run))] if not_run else tally


def _says_nothing(item: Account) -> bool:
    return not item.judged.outcome.failed and str(item.judged.outcome) != "PASS"


def _details(accounts: Sequence[Account]) -> dict[str, _Detail]:
    """Show the long parts of failures first, of others while there is room."""
    detailed = sorted(accounts, key=lambda item: not item.judged.outcome.failed)[:DETAILED]
    return {item.run.id: _detail(item) for item in detailed}


def _detail(item: Account) -> _Detail:
    what = f"{item.spec.workload.name} over time: {item.judged.outcome} {item.judged.title}"
    met = meeting.read(item.run.holds())
    return _Detail(
        timeline=timeline.svg(timeline.read(item), what.strip()),
        meeting=meeting.svg(met, "the last holds of vCPUs, and who ended them")
        if met
        else Markup(),
        console=excerpt.console(item),
        output=excerpt.output(item),
        results=excerpt.results(item),
        counters=tuple(sorted(item.channel.counters.items())),
        qemu=shlex.join(item.vm.argv),
    )


def _configs(accounts: Sequence[Account]) -> dict[str, tuple[Account, str]]:
    """Config of each kernel, once, with a run that used it."""
    found: dict[str, tuple[Account, str]] = {}
    for item in accounts:
        if item.spec.kernel_id not in found:
            path = item.run.folder / "config"
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            found[item.spec.kernel_id] = (item, printable(text))
    return found
