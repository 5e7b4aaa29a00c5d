# SPDX-License-Identifier: GPL-2.0-only
"""One trial of a kernel in a campaign: a whole run, or one replay of a witness.

A trial makes a judgement; verdicts and bisections know nothing more of it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from mmrace.definitions.race import Race, Workload
from mmrace.definitions.witness import Witness
from mmrace.guests.scheduler import Replay
from mmrace.home import Home
from mmrace.outcome import Judgement, Outcome
from mmrace.runs.campaign import Built, Choice, Step, Workbench, command_line
from mmrace.runs.record import RunDir
from mmrace.runs.replay import JOB_SECONDS, follow
from mmrace.symbols.resolve import Resolver

ResolverFor = Callable[[Built], Resolver]


@dataclass(frozen=True)
class Trial:
    """What was made: its judgement, and the run's directory or the replay."""

    judgement: Judgement
    run: RunDir | None = None
    replay: Replay | None = None

    def as_json(self) -> dict[str, object]:
        """An element of ``runs`` in a JSON document."""
        if self.run:
            return self.run.as_json()
        assert self.replay is not None  # noqa: S101
        return {
            "outcome": str(self.judgement.outcome),
            "title": self.judgement.title,
            "signature_matched": self.judgement.signature_matched,
            "reached": self.replay.reached,
            "complete": self.replay.complete,
            "seconds": round(self.replay.seconds, 3),
        }


class Maker(Protocol):
    """Makes one trial of a kernel."""

    def __call__(self, built: Built, seed: int) -> Trial:
        """Make it; raises UserError when this kernel cannot be tried at all."""
        ...


@dataclass(frozen=True)
class Boots:
    """Trials that are runs of a workload."""

    bench: Workbench
    race: Race
    workload: Workload
    choice: Choice

    def at(self, slot: str) -> "Boots":
        """The same, for a run at a place of a campaign."""
        return replace(self, choice=replace(self.choice, slot=slot))

    def key(self) -> tuple[object, ...]:
        """All that a trial of a kernel depends on, but the kernel and the seed."""
        return self.race.model_dump(), self.workload.name, asdict(self.choice)

    def __call__(self, built: Built, seed: int) -> Trial:
        """Boot and run once."""
        choice = replace(self.choice, seed=seed)
        words = command_line(built, self.race, self.workload, choice)
        run = self.bench.run(*self.bench.plan(built, self.race, self.workload, choice, words))
        return Trial(run.judgement(), run=run)


@dataclass(frozen=True)
class Replays:
    """Trials that are replays of a witness, each from a boot of its own."""

    home: Home
    bench: Workbench
    race: Race
    witness: Witness
    resolver: ResolverFor
    step: Step
    seconds: float
    ltp: str | None = None

    def __call__(self, built: Built, seed: int) -> Trial:
        """Boot, and follow the witness once; the workload's seed is the witness's own.

        InfraError when QEMU fails, or the race does not start.
        """
        choice = Choice(
            machine=self.witness.machine,
            accel="tcg",
            seconds=JOB_SECONDS,
            seed=self.witness.seed,
            ltp=self.ltp,
            steer=False,
        )
        workload = self.race.find_workload(self.witness.workload)
        spec, parts = self.bench.plan(built, self.race, workload, choice, "")
        what = spec, parts, self.resolver(built), self.witness, 1, self.seconds
        with self.step(f"replay on {' + '.join(built.series) or built.tree.name}") as tell:
            followed = follow(self.home, *what, tell)
            one = followed.done[0]
            judged = judgement_of(one)
            tell(f"= {judged.outcome} {judged.title}")
        return Trial(judged, replay=one)


def judgement_of(replay: Replay) -> Judgement:
    """Say what a replay showed; one that did not come to its first point is no run.

    A kernel that holds because the order cannot be carried out on it has held: that is what a fix
    does.
    """
    if replay.failure:
        return replay.failure
    return Judgement(Outcome.PASS if replay.reached else Outcome.INFEASIBLE)
