# SPDX-License-Identifier: GPL-2.0-only
"""From a revision of a kernel to what one run of it showed: what a bisection asks."""

import secrets
from collections.abc import Callable

from mmrace.bisect.loop import result_of
from mmrace.bisect.values import Result
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.judging import channel
from mmrace.outcome import Outcome
from mmrace.runs.kernels import Built
from mmrace.runs.record import RunDir

ATTEMPTS = 3  # at a run that the host spoils

Make = Callable[[Built, int], RunDir]  # one run of a kernel, with a seed


class KernelProbe:
    """Builds each revision once; ``note`` is told why one is of no use."""

    def __init__(
        self, build: Callable[[str], Built], make: Make, note: Callable[[str], None]
    ) -> None:
        self._build = build
        self._make = make
        self._note = note
        self._built: dict[str, Built] = {}
        self._booted: set[str] = set()
        self.runs: list[tuple[str, RunDir]] = []

    def __call__(self, revision: str) -> Result:
        """Make one run; InfraError when the host spoils it again and again."""
        try:
            if revision not in self._built:
                self._built[revision] = self._build(revision)
        except (BuildError, UserError) as error:
            self._note(f"{revision[:12]} is skipped: {error.message}")
            return Result.SKIP
        run = self._run(revision)
        if revision not in self._booted and not _started(run):
            title = run.judgement().title
            self._note(f"{revision[:12]} did not come to the workload, {title}")
            run = self._run(revision)
            if not _started(run):
                self._note(f"{revision[:12]} is skipped: it did not come to the workload twice")
                return Result.SKIP
        self._booted.add(revision)
        return result_of(run.judgement())

    def _run(self, revision: str) -> RunDir:
        for _ in range(ATTEMPTS):
            run = self._make(self._built[revision], secrets.randbelow(2**31))
            self.runs.append((revision, run))
            if run.judgement().outcome is not Outcome.INFRA:
                return run
        title = run.judgement().title
        raise InfraError(f"{ATTEMPTS} runs of {revision[:12]} failed: {title}")


def _started(run: RunDir) -> bool:
    """Whether the guest came to its workload, or to the race's failure."""
    if run.judgement().signature_matched:
        return True
    return channel.parse(run.channel()).started is not None
