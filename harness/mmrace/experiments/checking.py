# SPDX-License-Identifier: GPL-2.0-only
"""A check of a series for another tool: the races that it concerns, and their runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.definitions.race import Race
from mmrace.errors import UserError
from mmrace.experiments.running import Runs, run_workloads
from mmrace.experiments.session import Session
from mmrace.patching.thread import read_mail
from mmrace.patching.tracked import tracked_thread
from mmrace.runs.options import RunOptions


@dataclass(frozen=True)
class Checked:
    """A series that was built, and its runs by race; ``unfit``: why no race was run."""

    notes: tuple[str, ...]
    runs: tuple[tuple[Race, Runs], ...] = ()
    unfit: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code of all runs together; 0 when the series concerns no race."""
        return 0 if self.unfit else sum((done for _, done in self.runs), Runs()).exit_code


def check_series(
    session: Session,
    tree: str,
    series: Sequence[str],
    race: Race | None,
    options: RunOptions,
    count: int,
) -> Checked:
    """Build a series; run a race, or the races that it concerns, ``count`` times each."""
    built = session.build(tree, series, options)
    notes = tuple(built.applied.notes)
    try:
        races = [race] if race else session.races_about(built.tree.commit, built.applied.commit)
    except UserError as error:
        return Checked(notes, unfit=error.message)
    made: list[tuple[Race, Runs]] = []
    for one in races:
        own = session.suited(built, one, options)
        workloads = one.default_workloads(own.kernel.release)
        done = run_workloads(session, own, one, workloads, options, count)
        if done.error:
            raise done.error
        made.append((one, done))
    return Checked(notes, tuple(made))


def asked_series(session: Session, tracking: str, where: Path) -> tuple[tuple[str, ...], Session]:
    """Return the series of a mail on standard input, and a session that can read it.

    The series is the thread that b4 tracks in the file ``tracking``; or the patch that the mail is;
    or the thread that its message-id names. ``where``: current directory, for relative names.
    Raises UserError for anything else.
    """

    def given(mails: bytes) -> tuple[tuple[str, ...], Session]:
        return ("-",), session.taking(replace(session.intake, stdin=lambda: mails))

    raw = session.intake.stdin()
    if not raw.strip():
        raise UserError("no mail on standard input; name a SERIES")
    if tracking and (thread := tracked_thread(where, Path(tracking))):
        return given(thread)
    mail = read_mail("the mail on standard input", raw)
    if mail.diff and mail.place.total <= 1:
        return given(raw)
    if not mail.id:
        raise UserError(f"{mail.name} has neither a patch nor a Message-ID; name a SERIES")
    return (mail.id,), session
