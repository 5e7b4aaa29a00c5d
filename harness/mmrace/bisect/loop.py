# SPDX-License-Identifier: GPL-2.0-only
"""Bisection as a loop over a function from a revision to what one run of it showed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mmrace import proc
from mmrace.bisect import revisions
from mmrace.bisect.engine import Bisection
from mmrace.bisect.log import parse, render
from mmrace.bisect.values import Answer, Observation, Request, Result
from mmrace.errors import InfraError, UserError
from mmrace.home import write_file
from mmrace.outcome import Judgement, Outcome

Probe = Callable[[str, int], Result]  # one run of a revision, of which so many are wanted
Tell = Callable[[Bisection, Request, Result], None]


def drive(
    bisection: Bisection,
    probe: Probe,
    log: Path,
    *,
    tell: Tell | None = None,
    most: int = 5000,
) -> Answer:
    """Run until the answer is there or ``most`` runs were made, those in the log included.

    ``probe`` makes one run, and may begin others that are wanted; ``tell`` hears of each. The log
    is written after every run, so that a killed bisection goes on where it was. What ``probe``
    raises goes through.
    """
    read = parse(log.read_text(encoding="utf-8"), bisection) if log.exists() else []
    # Without the failing end there is nothing to go on from: what kept it from running may be gone.
    end = Observation(bisection.model.dag.names[bisection.model.failing_end], Result.SKIP)
    past = [one for one in read if one != end]
    for one in past:
        bisection.observe(one.revision, one.result)
    while len(past) < most and (request := bisection.request()) is not None:
        result = probe(request.revision, request.runs)
        bisection.observe(request.revision, result)
        past.append(Observation(request.revision, result))
        write_file(log, render(bisection, past))
        if tell:
            tell(bisection, request, result)
    if not past:
        write_file(log, render(bisection, past))
    return bisection.answer()


def result_of(judgement: Judgement) -> Result:
    """Sort a run of a kernel: only the race's own signature is bad; other failures are no evidence.

    InfraError for a run that the host spoilt: it is to be made again.
    """
    match judgement.outcome:
        case Outcome.PASS:
            return Result.GOOD
        case Outcome.CRASH | Outcome.FAIL if judgement.signature_matched:
            return Result.BAD
        case Outcome.INFRA:
            raise InfraError(
                f"a run failed before its kernel could show anything: {judgement.title}"
            )
        case _:
            return Result.VOID


def result_of_code(code: int) -> Result:
    """Sort a command's exit code as git bisect run does; InfraError for one that aborts."""
    if code == 0:
        return Result.GOOD
    if code == 125:
        return Result.SKIP
    if 1 <= code <= 127:
        return Result.BAD
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    raise InfraError(f"the command ended with {how}, which ends the bisection; its log is kept")


def command_probe(clone: Path, argv: Sequence[str], deadline: float) -> Probe:
    """Return a probe that checks the revision out and runs a command there, outside any sandbox.

    ``deadline`` is in seconds, for one run. UserError for an empty command.
    """
    if not argv:
        raise UserError("no command to run; give one after --")
    last = ""

    def probe(revision: str, _limit: int) -> Result:
        nonlocal last
        if revision != last:
            revisions.checkout(clone, revision)
            last = revision
        return result_of_code(proc.run(argv, deadline=deadline, cwd=clone).returncode)

    return probe
