# SPDX-License-Identifier: GPL-2.0-only
"""What came of carrying out the order of a witness, as values that are kept with a run."""

from dataclasses import dataclass

from mmrace.outcome import Judgement


@dataclass(frozen=True)
class Arrival:
    """A vCPU was held where a step, by its number from 0, wants it; seconds since the restore."""

    second: float
    step: int
    actor: str
    thread: str
    address: int


@dataclass(frozen=True)
class Attempt:
    """How far one carrying out of the order got; ``why`` it got no farther."""

    steps: int
    infeasible: bool = False
    why: str = ""
    arrivals: tuple[Arrival, ...] = ()


@dataclass(frozen=True)
class Replay:
    """One time from the race's start: its attempts, and the failure that they led to.

    ``seconds`` are the host's, of them ``restore`` to get there. ``stalls`` counts reports of
    watchdogs. ``since``: bytes of the console that came before.
    """

    attempts: tuple[Attempt, ...]
    total: int
    failure: Judgement | None
    seconds: float
    stalls: int = 0
    restore: float = 0.0
    since: int = 0

    @property
    def failed(self) -> bool:
        """Whether the race's own failure showed."""
        return self.failure is not None and self.failure.signature_matched

    @property
    def shown(self) -> bool:
        """Whether that failure came right after the whole order, not of itself.

        As long as no step of another attempt is made, it is right after it.
        """
        made = [item.steps for item in self.attempts]
        while made and not made[-1]:
            made.pop()
        return self.failed and made[-1:] == [self.total]

    @property
    def reached(self) -> bool:
        """Whether the first point was reached."""
        return any(item.steps for item in self.attempts)

    @property
    def completions(self) -> int:
        """How often the whole order was carried out."""
        return sum(item.steps == self.total for item in self.attempts)

    @property
    def complete(self) -> bool:
        """Whether the whole order was carried out, once at least."""
        return self.completions > 0

    @property
    def infeasible(self) -> bool:
        """Whether it held only because the order could not be carried out."""
        failed = self.failure is not None
        return self.reached and not self.complete and not failed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why attempts got no farther, each once."""
        return tuple(dict.fromkeys(item.why for item in self.attempts if item.why))
