# SPDX-License-Identifier: GPL-2.0-only
"""From a revision of a kernel to the result of one run of it, as a bisection needs it."""

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from mmrace.bisect.loop import result_of
from mmrace.bisect.values import Result
from mmrace.errors import BuildError, InfraError, UserError
from mmrace.executors.executor import Runs
from mmrace.judging import channel
from mmrace.outcome import Outcome
from mmrace.runs.kernels import Built
from mmrace.runs.record import RunDir

ATTEMPTS = 3  # runs, at most, in place of one with the outcome INFRA
AHEAD = 3  # concurrent builds: the wanted revision and two that may be wanted next

Make = Callable[[Built, int], "Future[Runs]"]  # begins one run of a kernel with a seed


class KernelProbe:
    """Builds each revision once and runs it; ``note`` is called with the reason of each skip.

    ``slots``: how many runs of one revision are under way at a time. Results are used in the order
    in which runs were begun, so that a bisection sees the same as with one run after another; runs
    that it no longer wants are cancelled.

    ``following``: returns the revisions that may be wanted next; workers build them meanwhile.
    """

    def __init__(
        self,
        build: Callable[[str], Built],
        make: Make,
        note: Callable[[str], None],
        slots: Callable[[], int] = lambda: 1,
    ) -> None:
        self._build = build
        self._make = make
        self._note = note
        self._slots = slots
        self._begun: deque[Future[Runs]] = deque()
        self._of = ""
        self._built: dict[str, Built] = {}
        self._building: dict[str, Future[Built]] = {}
        self._pool = ThreadPoolExecutor(AHEAD)
        self.following: Callable[[], Sequence[str]] = tuple
        self._booted: set[str] = set()
        self.runs: list[tuple[str, RunDir]] = []

    def __call__(self, revision: str, ahead: int) -> Result:
        """Return the result of one run; InfraError when ATTEMPTS runs end with INFRA."""
        if revision != self._of:
            self._drop()
            self._of = revision
            self._begin_builds(revision)
        try:
            if revision not in self._built:
                begun = self._building.get(revision)
                self._built[revision] = begun.result() if begun else self._build(revision)
        except (BuildError, UserError) as error:
            self._note(f"{revision[:12]} is skipped: {error.message}")
            return Result.SKIP
        run = self._run(revision, ahead if revision in self._booted else 1)
        if revision not in self._booted and not _started(run):
            title = run.judgement().title
            self._note(f"{revision[:12]} did not start the workload: {title}")
            run = self._run(revision, 1)
            if not _started(run):
                self._note(f"{revision[:12]} is skipped: it did not start the workload twice")
                return Result.SKIP
        self._booted.add(revision)
        return result_of(run.judgement())

    def _begin_builds(self, revision: str) -> None:
        """Begin builds that may be wanted next, in all slots but one, which runs this revision."""
        following = self.following()[: max(0, self._slots() - 1)]
        for one in (revision, *following) if following else ():
            if one not in self._built and one not in self._building:
                self._building[one] = self._pool.submit(self._build, one)

    def _run(self, revision: str, ahead: int) -> RunDir:
        for _ in range(ATTEMPTS):
            while len(self._begun) < max(1, min(ahead, self._slots())):
                seed = secrets.randbelow(2**31)
                self._begun.append(self._make(self._built[revision], seed))
            (run,) = self._begun.popleft().result()
            self.runs.append((revision, run))
            if run.judgement().outcome is not Outcome.INFRA:
                return run
        title = run.judgement().title
        raise InfraError(f"{ATTEMPTS} runs of {revision[:12]} failed: {title}")

    def _drop(self) -> None:
        for future in self._begun:
            future.cancel()
        self._begun.clear()


def _started(run: RunDir) -> bool:
    """Whether the guest started its workload, or showed the race's own failure before."""
    if run.judgement().signature_matched:
        return True
    return channel.parse(run.channel()).started is not None
