# SPDX-License-Identifier: GPL-2.0-only
"""The order behind a failure under attack."""

from collections.abc import Callable

from mmrace.definitions.race import Workload
from mmrace.errors import MmraceError
from mmrace.experiments.attempts import FREE, SEARCH, WINDOWS, Attempt, Attempts
from mmrace.experiments.boots import Boots
from mmrace.experiments.hunter import Finding, Hunter, Tell
from mmrace.searching.boots import read_boot
from mmrace.verdicts.verdict import Arm

PROOF_SECONDS = 240.0  # limit for finding the order behind a failure


def prove_attempt(
    boots: Boots,
    attempts: Attempts,
    failed: Attempt,
    workload: Workload,
    note: Callable[[str], None],
    tell: Tell,
) -> Finding | None:
    """Look for the order behind a failure; the failure counts even if none is found.

    ``note`` is called with a line for people, also when the host ends the search for an order.
    """
    note(f"{failed.workload} failed with {failed.title}: {failed.run.folder}")
    if failed.way == FREE:
        return None
    try:
        hunter = boots.hunter(Arm.AFTER, workload, tell)
        if failed.way == WINDOWS:
            hunter.prove_windows(PROOF_SECONDS, tell)
        else:
            _prove(hunter, boots, attempts, failed, tell)
    except (MmraceError, OSError) as error:
        note(f"no more proof of it: {error}")
    known = boots.searches.get(failed.workload)
    return known.finding if known else None


def _prove(hunter: Hunter, boots: Boots, attempts: Attempts, latest: Attempt, tell: Tell) -> None:
    """Look for the order behind a boot's failure, then behind those of further such boots."""
    end = attempts.clock + PROOF_SECONDS
    while not hunter.proven and (left := end - attempts.clock) > 0:
        if latest.own:
            hunter.prove(read_boot(latest.run), left, tell)
        if not hunter.proven and (left := end - attempts.clock) > 0:
            latest = boots.make(Arm.AFTER, latest.workload, SEARCH, left, tell)
