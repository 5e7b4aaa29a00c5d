# SPDX-License-Identifier: GPL-2.0-only
"""Crashes: of one console, of several logs, of all runs; and how often a race failed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from mmrace.answers.answer import Answer, Table
from mmrace.answers.runs import short_id
from mmrace.crash import Crash, record
from mmrace.groups import Group, Rate
from mmrace.symbols import decode
from mmrace.symbols.log import Log

_FRAMES = 12  # that people are told of


def decoded_log(log: Log, source: Path | None) -> Answer:
    """Return a log's crashes; with a vmlinux its lines, which quote a kernel's ``source``."""
    document = {
        "crashes": [record.document(item) for item in log.crashes],
        "frames": [
            {"text": item.text.strip(), "places": [asdict(place) for place in item.places]}
            for item in log.decoded
            if item.places
        ],
    }
    if log.vmlinux:
        quoted = decode.SourceFiles(source) if source else None
        return Answer(document, decode.render(log.decoded, quoted), notes=log.notes)
    text = "\n\n".join(_crash_text(item) for item in log.crashes) or "no crash"
    return Answer(document, (text,))


def _crash_text(item: Crash) -> str:
    """One crash, as lines for people."""
    frames = [f"{'' if frame.reliable else '? '}{frame.function}" for frame in item.frames]
    rows = (
        ("title", item.title),
        *(("also", title) for title in item.alt_titles),
        ("kind", item.kind.value),
        ("function", item.function or "none"),
        ("corrupted", item.corrupted or "no"),
        ("bytes", f"{item.start} to {item.end}"),
        ("frames", " < ".join(frames[:_FRAMES]) + (" < ..." if len(frames) > _FRAMES else "")),
    )
    return "\n".join(f"{name + ':':<11}{value}" for name, value in rows)


def crashes_of_logs(found: Mapping[Path, Sequence[Crash]]) -> Answer:
    """Return crashes of console logs, in the order of the logs."""
    document = [
        {"log": log, "crashes": [record.document(item) for item in items]}
        for log, items in found.items()
    ]
    rows = [
        (log.name, item.kind.value, item.title, item.corrupted or "no")
        for log, items in found.items()
        for item in items
    ]
    return Answer({"logs": document}, (Table(("log", "kind", "title", "corrupted"), rows),))


def crash_groups(found: Sequence[Group]) -> Answer:
    """Return crashes over all runs."""
    rows = [(str(item.runs), short_id(item.last), item.title) for item in found]
    more = [
        (str(item.runs), item.kind, item.title, " ".join(item.races), item.last) for item in found
    ]
    short = Table(("runs", "last run", "title"), rows, cut=True)
    details = Table(("runs", "kind", "title", "races", "last run"), more)
    return Answer({"groups": [asdict(item) for item in found]}, (short,), details=(details,))


def failure_rates(race: str, found: Sequence[Rate]) -> Answer:
    """Return how often a race failed: by day, workload and kernel."""
    rows = [
        (item.day[5:], f"{item.failed}/{item.runs}", str(item.matched), f"{item.seconds:.0f} s",
         item.workload, f"{item.release} {item.series}".strip())
        for item in found
    ]  # fmt: skip
    more = [(item.day, *row[1:], item.kernel) for row, item in zip(rows, found, strict=True)]
    head = ("day", "failed", "own", "time", "workload", "kernel")
    document = {"race": race, "rates": [asdict(item) for item in found]}
    return Answer(
        document, (Table(head, rows, cut=True),), details=(Table((*head, "kernel id"), more),)
    )
