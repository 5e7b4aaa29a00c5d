# SPDX-License-Identifier: GPL-2.0-only
"""A summary in Markdown that also reads well as plain text, and GitHub's annotations.

For a merge request, or a reply to the thread of a patch: no HTML, few wide lines.
"""

from collections import Counter
from collections.abc import Sequence

from mmrace import __version__
from mmrace.outcome import Outcome
from mmrace.reports.account import Account, Group, Traces, groups, printable, read_all
from mmrace.reports.excerpt import trimmed
from mmrace.runs.record import NotRun, RunDir

EXCERPT = 1_600  # characters of a crash: header and trace, as mail shows them
GROUPS = 12  # failures told in full


def markdown(
    runs: Sequence[RunDir],
    title: str,
    not_run: Sequence[NotRun] = (),
    decoded: Traces | None = None,
) -> str:
    """Render the summary; UserError for a directory that holds no run."""
    accounts = read_all(runs, decoded) if runs or not not_run else []
    failures = groups(accounts)
    lines = [f"## {title}: {_verdict(accounts)}", "", *_table(accounts, not_run)]
    for group in failures[:GROUPS]:
        lines += ["", *_failure(group)]
    if len(failures) > GROUPS:
        lines += ["", f"{len(failures) - GROUPS} more kinds of failure are in the full report."]
    notes = [item for item in accounts if not item.judged.outcome.failed and item.judged.notes]
    if notes:
        lines.append("")
    lines += [
        f"- {_name(item)}: {item.judged.outcome}: {_text('; '.join(item.judged.notes))}"
        for item in notes
    ]
    if accounts:
        first = accounts[0]
        lines += ["", f"mmrace {__version__}, QEMU {first.vm.version}, {_accelerators(accounts)}."]
    return "\n".join(lines) + "\n"


def _verdict(accounts: Sequence[Account]) -> str:
    found = Counter(item.judged.outcome for item in accounts)
    words = [f"{found[item]} {item}" for item in Outcome if found[item]]
    return ", ".join(words) or "nothing was run"


def _table(accounts: Sequence[Account], not_run: Sequence[NotRun]) -> list[str]:
    """Runs by race, workload and kernel, columns padded for those who read it as text."""
    cells: dict[tuple[str, str, str], list[Account]] = {}
    for item in accounts:
        key = (item.spec.race.name, item.spec.workload.name, item.kernel)
        cells.setdefault(key, []).append(item)
    rows = [("race", "workload", "kernel", "outcome", "s to failure", "exercised")]
    for (race, workload, kernel), items in cells.items():
        rows.append((race, workload, kernel, _outcomes(items), _seconds(items), _exercised(items)))
    rows += [(item.race, item.workload, "", "not run", "", item.why) for item in not_run]
    safe = [[_text(cell).replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[number]) for row in safe) for number in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in safe
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]


def _outcomes(items: Sequence[Account]) -> str:
    found = Counter(str(item.judged.outcome) for item in items)
    if len(items) == 1:
        return next(iter(found))
    return ", ".join(f"{count} {word}" for word, count in found.items())


def _seconds(items: Sequence[Account]) -> str:
    known = [item.judged.seconds_to_failure for item in items]
    seconds = sorted(value for value in known if value is not None)
    if not seconds:
        return ""
    span = f"{seconds[0]:.1f}"
    return span if len(seconds) == 1 else f"{span} to {seconds[-1]:.1f}"


def _exercised(items: Sequence[Account]) -> str:
    """The first counter of the workload, summed: a hint, the full report has all."""
    total: Counter[str] = Counter()
    for item in items:
        for name, (count, _) in list(item.judged.exercised.items())[:2]:
            total[name] += count
    return ", ".join(f"{name} {count}" for name, count in total.items())


def _failure(group: Group) -> list[str]:
    item = group.first
    place = item.place
    lines = [f"### {item.judged.outcome}: {_text(group.title)}", ""]
    if place:
        at = f" at `{place.location}`" if place.location else ""
        lines.append(f"In `{place.function}{place.offset}`{at},")
    seen = f"seen in {len(group.runs)} runs, among them" if len(group.runs) > 1 else "seen in"
    lines.append(f"{seen} {_name(item)}{_after(item)}.")
    if not item.judged.signature_matched:
        lines.append("This is not the failure that this race is known by.")
    lines += ["", "```", trimmed(item.report, EXCERPT).replace("```", "'''"), "```", ""]
    return [*lines, "To see it again:", "", f"    {item.elsewhere}"]


def _after(item: Account) -> str:
    seconds = item.judged.seconds_to_failure
    return "" if seconds is None else f", {seconds:.1f} s after the start"


def _name(item: Account) -> str:
    return f"{item.spec.race.name}/{item.spec.workload.name} on {item.kernel}"


def _accelerators(accounts: Sequence[Account]) -> str:
    return ", ".join(dict.fromkeys(item.vm.accel for item in accounts))


def _text(text: str) -> str:
    return " ".join(printable(text).split())


def annotations(runs: Sequence[RunDir], decoded: Traces | None = None) -> tuple[str, ...]:
    """Workflow commands for GitHub: an error for each kind of failure, warnings for no answer."""
    accounts = read_all(runs, decoded)
    lines = [_annotation(group) for group in groups(accounts)]
    for item in accounts:
        if item.judged.outcome not in (Outcome.PASS, *_FAILED):
            word = "error" if item.judged.outcome is Outcome.INFRA else "warning"
            lines.append(annotation(word, f"{item.judged.outcome}: {_name(item)}", item.title))
    return tuple(lines)


def annotation(word: str, title: str, text: str) -> str:
    """Render one workflow command; ``word`` is error, warning or notice."""
    return f"::{word} title={_property(title)}::{_data(text)}"


_FAILED = tuple(item for item in Outcome if item.failed)


def _annotation(group: Group) -> str:
    item, place = group.first, group.first.place
    fields = [f"title={_property(f'{item.judged.outcome}: {_text(group.title)}')}"]
    if place and ":" in place.location:
        file, _, line = place.location.rpartition(":")
        fields = [f"file={_property(file)}", f"line={_property(line)}", *fields]
    others = f", and {len(group.runs) - 1} more" if len(group.runs) > 1 else ""
    lines = [f"{_name(item)}{_after(item)}{others}"]
    if place:
        lines.append(f"in {place.function}{place.offset}")
    lines.append(f"again: {item.elsewhere}")
    return f"::error {','.join(fields)}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    """Escape a message as workflow commands want it."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
