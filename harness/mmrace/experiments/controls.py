# SPDX-License-Identifier: GPL-2.0-only
"""Boots that tell whether a failure under attack is one of the fix: without holds, without it."""

from contextlib import suppress

from mmrace.errors import InfraError, UserError
from mmrace.experiments.attempts import FREE, WATCH, Attempt, Attempts
from mmrace.experiments.boots import LONG, Boots
from mmrace.experiments.hunter import Tell
from mmrace.verdicts.facing import Titles, regressions
from mmrace.verdicts.verdict import Arm

CONTROLS = 5  # boots, at most, that check whether "before" (or no hold) fails alike
CONTROL_SECONDS = 180.0  # limit for the boots of "before", over all titles


class Controls:
    """The control boots of one attack; those of an earlier process count."""

    def __init__(self, boots: Boots, attempts: Attempts) -> None:
        self._boots = boots
        self._attempts = attempts

    def hang_without_holds(self, workload: str, tell: Tell) -> Attempt | None:
        """Return a boot of "after" that hangs with no vCPU held, None if none of CONTROLS does.

        A hold can cause a hang by itself, so a hang under holds alone does not count.
        """
        free = list(self._attempts.of(Arm.AFTER, workload, FREE))
        while len(free) < CONTROLS and not any(one.own for one in free):
            free.append(self._boots.make(Arm.AFTER, workload, FREE, LONG, tell))
        return next((one for one in free if one.own), None)

    def regressions(self, known: Titles, tell: Tell) -> tuple[str, ...]:
        """Return titles that "after" shows and "before" does not in up to CONTROLS such boots.

        ``known``: failures that earlier runs of the kernel before have shown.
        """
        made = self._attempts.made
        failed = [one for one in made if one.arm is Arm.AFTER and one.title]
        controls = [one for one in made if one.arm is Arm.BEFORE and one.way != WATCH]
        begun = controls[0].berth.begun if controls else self._attempts.clock
        for name, way in dict.fromkeys(one.turn for one in failed):
            titles = {one.title for one in failed if one.turn == (name, way)}
            for _ in range(CONTROLS - len(list(self._attempts.of(Arm.BEFORE, name, way)))):
                open_ = titles.intersection(self._worse(known))
                if not open_ or self._attempts.clock > begun + CONTROL_SECONDS:
                    break
                tell(f"whether the kernel before fails with {', '.join(open_)} as well")
                with suppress(UserError, InfraError):
                    self._boots.make(Arm.BEFORE, name, way, LONG, tell)
        return self._worse(known)

    def _worse(self, known: Titles) -> tuple[str, ...]:
        titles = self._attempts.titles
        return regressions(titles(Arm.AFTER), titles(Arm.BEFORE) + known)
