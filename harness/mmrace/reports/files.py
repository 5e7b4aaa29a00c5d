# SPDX-License-Identifier: GPL-2.0-only
"""Reports of runs in the formats that people and CI ask for, each in a file of their choice."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.home import Home, write_file
from mmrace.reports import junit, kcidb, ktapout, summary, traced
from mmrace.reports.publish import page, publish
from mmrace.runs.record import RunDir

STDOUT = Path("-")


@dataclass(frozen=True)
class Written:
    """Files by format, and texts that go to standard output."""

    files: Mapping[str, Path]
    texts: tuple[str, ...] = ()


def write_reports(
    home: Home,
    runs: Sequence[RunDir],
    title: str,
    paths: Mapping[str, Path | None],
    origin: str,
    *,
    github: bool = False,
) -> Written:
    """Write reports by format (html, junit, ktap, kcidb, markdown); ``-`` is standard output.

    Without any, HTML and JUnit go to the home. ``origin`` is the user's name in KCIDB; ``github``
    asks for annotations as well. Raises UserError as ``kcidb.document`` does.
    """
    chosen = {kind: path for kind, path in paths.items() if path}
    if not chosen and not github:
        made = publish(home, runs, title)
        return Written({"html": made.html, "junit": made.junit})
    decoded = functools.cache(lambda: traced.traces(home, runs))
    makers: Mapping[str, Callable[[], str]] = {
        "html": lambda: page(runs, title, decoded=decoded()),
        "junit": lambda: junit.document(runs, decoded=decoded()),
        "ktap": lambda: ktapout.document(runs, decoded=decoded()),
        "kcidb": lambda: kcidb.document(runs, origin),
        "markdown": lambda: summary.markdown(runs, title, decoded=decoded()),
    }
    texts = {kind: makers[kind]() for kind in chosen}
    files = {kind: path for kind, path in chosen.items() if path != STDOUT}
    for kind, path in files.items():
        write_file(path, texts.pop(kind))
    annotations = summary.annotations(runs, decoded()) if github else ()
    return Written(files, (*(text.removesuffix("\n") for text in texts.values()), *annotations))
