# SPDX-License-Identifier: GPL-2.0-only
"""What mmrace does while a run's guest runs."""

from collections.abc import Callable

from mmrace.judging.crashwatch import CrashWatch
from mmrace.judging.exercise import Exercise
from mmrace.runs.record import Spec
from mmrace.windows.director import Director, race_phase


class Watcher:
    """Follows a running guest: arms the director, shows progress, detects failure and exercise."""

    def __init__(self, spec: Spec, tell: Callable[[str], None], director: Director | None) -> None:
        self._spec = spec
        self._tell = tell
        self._director = director
        self.crashes = CrashWatch(spec.race)
        self._exercise = Exercise(spec.workload.min_counts)

    def line(self, line: str) -> bytes | None:
        """Take a line of the result channel; return what to send to the guest, or None."""
        if line.startswith("# start"):
            self._tell("workload started")
        elif line.startswith(("# count", "# out mmrace: count")):
            self._tell(line.removeprefix("# out mmrace: ").removeprefix("# "))
        if self._director:
            phase = race_phase(line, self._spec.workload.announces_race)
            if phase:
                self._director.arm()
            elif phase is False:
                self._director.disarm()
        self.crashes.line(line)
        return self._exercise.line(line)

    def pause(self) -> bool:
        """Whether the director needs all vCPUs stopped for a moment."""
        return self._director is not None and self._director.blind

    def failing(self, data: bytes) -> bool:
        """Whether the console has the race's own crash, complete, so that the run can end."""
        self.crashes.console(data)
        return self.crashes.own
