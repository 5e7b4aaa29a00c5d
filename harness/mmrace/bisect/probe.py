# SPDX-License-Identifier: GPL-2.0-only
"""From a revision of a kernel to what one run of it showed: what a bisection asks."""

import secrets
from collections.abc import Callable

from mmrace.bisect.loop import result_of
from mmrace.bisect.values import Result
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.judging import channel
from mmrace.outcome import Outcome
from mmrace.runs.campaign import Built
from mmrace.runs.trial import Maker, Trial

ATTEMPTS = 3  # at a run that the host spoils


class KernelProbe:
    """Builds each revision once; ``note`` is told why one is of no use."""

    def __init__(
        self, build: Callable[[str], Built], make: Maker, note: Callable[[str], None]
    ) -> None:
        self._build = build
        self._make = make
        self._note = note
        self._built: dict[str, Built] = {}
        self._booted: set[str] = set()
        self.trials: list[tuple[str, Trial]] = []

    def __call__(self, revision: str) -> Result:
        """Make one run; InfraError when the host spoils it again and again."""
        try:
            if revision not in self._built:
                self._built[revision] = self._build(revision)
        except (BuildError, UserError) as error:
            self._note(f"{revision[:12]} is skipped: {error.message}")
            return Result.SKIP
        trial = self._run(revision)
        if revision not in self._booted and not _started(trial):
            self._note(f"{revision[:12]} did not come to the workload, {trial.judgement.title}")
            trial = self._run(revision)
            if not _started(trial):
                self._note(f"{revision[:12]} is skipped: it did not come to the workload twice")
                return Result.SKIP
        self._booted.add(revision)
        return result_of(trial.judgement)

    def _run(self, revision: str) -> Trial:
        for _ in range(ATTEMPTS):
            trial = self._make(self._built[revision], secrets.randbelow(2**31))
            self.trials.append((revision, trial))
            if trial.judgement.outcome is not Outcome.INFRA:
                return trial
        raise InfraError(f"{ATTEMPTS} runs of {revision[:12]} failed: {trial.judgement.title}")


def _started(trial: Trial) -> bool:
    """Whether the guest came to its workload (a replay always does), or to the race's failure."""
    if trial.run is None or trial.judgement.signature_matched:
        return True
    return channel.parse(trial.run.channel()).started is not None
