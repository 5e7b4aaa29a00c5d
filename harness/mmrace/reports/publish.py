# SPDX-License-Identifier: GPL-2.0-only
"""Reports of runs, written where people and CI find them."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.home import Home, write_file
from mmrace.reports import junit, report, traced
from mmrace.reports.account import Traces
from mmrace.runs.record import NotRun, RunDir


@dataclass(frozen=True)
class Published:
    """Files of one report."""

    html: Path
    junit: Path


def publish(
    home: Home,
    runs: Sequence[RunDir],
    title: str,
    not_run: Sequence[NotRun] = (),
    sections: Sequence[report.Section] = (),
) -> Published:
    """Write HTML and JUnit beside each other in the home."""
    decoded = traced.traces(home, runs)
    folder = new_folder(home)
    made = Published(folder / "report.html", folder / "junit.xml")
    write_file(made.html, page(runs, title, not_run, sections, decoded))
    write_file(made.junit, junit.document(runs, not_run, decoded))
    return made


def new_folder(home: Home) -> Path:
    """Return where a report that is made now goes."""
    return home.reports / time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def page(
    runs: Sequence[RunDir],
    title: str,
    not_run: Sequence[NotRun] = (),
    sections: Sequence[report.Section] = (),
    decoded: Traces | None = None,
) -> str:
    """Render the HTML report, made now on this machine."""
    return report.html(
        runs,
        title=title,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        host=f"{platform.system()} {platform.release()} {platform.machine()}",
        not_run=not_run,
        sections=sections,
        decoded=decoded,
    )
