# SPDX-License-Identifier: GPL-2.0-only
"""A verdict: its paths, what it excludes, and the pairs on the way to it."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmrace.answers.answer import Answer, Block, Page, Table
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.prefixes import Prefixes
from mmrace.experiments.verdict import Decided
from mmrace.progress import clock, rough_clock
from mmrace.reports import attack
from mmrace.reports.verdict import sections
from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.exclusion import exclusions
from mmrace.verdicts.rates import Rate
from mmrace.verdicts.verdict import Arm, Pair, Statement


def verdict_answer(done: Decided, race: str, tree: str, witness: Path) -> Answer:
    """Return the verdict on a race; ``witness`` has what an attack found."""
    attacked, statement, pairs = done.attacked, done.statement, done.verified
    text = [*_paths(done), *(attack.details(attacked) if attacked else ())]
    note = f"{len(pairs.runs)} runs in {clock(pairs.seconds)}"
    shown = [*sections(statement, pairs.runs), *(attack.sections(attacked) if attacked else ())]
    not_run = attacked.not_run if attacked else ()
    page = Page(f"{statement.verdict}: {race} on {tree}", done.runs, not_run, shown)
    document = done.document(race, str(witness))
    return Answer(document, text, statement.exit_code, [note], page, watched=True)


def _paths(done: Decided) -> Iterator[Block]:
    paths = done.verified.statement.paths
    rows = [(one.path, str(one.verdict), _rate(one.before), _rate(one.after)) for one in paths]
    if attacked := done.attacked:
        rows.append(attack_row(attacked))
    yield Table(
        ("path", "verdict", "before failed (rate, 95 %)", "after failed (rate, 95 %)"), rows
    )
    for one in paths:
        for other in one.after_other:
            times = f"{other.after} times, before {other.before}"
            yield f"{one.path}: after also: {other.outcome} {other.title}: {times}"
    yield done.statement.line
    for one in paths:
        for text in exclusions(one):
            yield f"{one.path}: {text}"
        if one.more_runs:
            yield f"{one.path}: FIXED would take about {one.more_runs} more runs"
        elif one.more_runs_at_least:
            yield f"{one.path}: FIXED would take {one.more_runs_at_least} or more runs"


def attack_row(attacked: Attacked) -> tuple[str, str, str, str]:
    """Return what an attack says of FIXED, as a row below those of the paths."""
    after = [one for one in attacked.attempts if one.arm is Arm.AFTER]
    failed = f"{sum(one is attacked.failure for one in after)} of {len(after)} boots"
    held = "INCONCLUSIVE" if attacked.regressions or attacked.trouble else "held"
    return "attack", "NOT_FIXED" if attacked.failure else held, "", failed


def _rate(value: Rate) -> str:
    return f"{value.failures} of {value.runs} ({value.low:.3f} .. {value.high:.3f})"


class Pace:
    """Says where a campaign is after each pair, and when it is likely to end."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._first: tuple[float, int] | None = None  # when the first pair ended, and runs by then

    def __call__(self, pair: Pair, statement: Combined) -> None:
        """Print the state after this pair, in one line."""
        now = next(one for one in statement.paths if one.path == pair.path)
        state = f"{now.discordant} of {now.needed} needed pairs"
        left = self._left(statement.paths)
        end = f", about {rough_clock(left)} left" if left else ""
        self._note(f"{pair.path}: {state}, p = {now.p_value:.2g} (pair {pair.index + 1}{end})")

    def _left(self, paths: Sequence[Statement]) -> float | None:
        """Seconds that the runs still needed take, if runs go on as they went; None: not known."""
        made, now = sum(one.before.runs + one.after.runs for one in paths), time.monotonic()
        begun, before = self._first = self._first or (now, made)
        ahead = [one.more_runs for one in paths]
        if made == before or None in ahead:
            return None
        return (now - begun) / (made - before) * sum(filter(None, ahead))


def prefixes(done: Prefixes, race: str) -> Answer:
    """Return how far each prefix of a series came."""
    rows = [(str(prefix.number), prefix.patch, prefix.state) for prefix in done.found]
    bad = done.first_bad
    text = f"all {done.total} prefixes apply, build without new warnings, and hold"
    if bad:
        text = f"patch {bad.number} of {done.total}, {bad.patch}: {bad.bad}"
    blocks = (Table(("", "patch", "with the patches before it"), rows), text)
    return Answer(done.document(race), blocks, done.found[-1].exit_code, watched=True)
