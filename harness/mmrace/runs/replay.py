# SPDX-License-Identifier: GPL-2.0-only
"""A witness, followed again and again on one kernel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mmrace.definitions.race import Source
from mmrace.definitions.witness import Witness
from mmrace.guests.qemu import Boot
from mmrace.guests.scheduler import Replay, Scheduler, place
from mmrace.guests.snapshot import Snapshot
from mmrace.home import Home
from mmrace.judging.oracle import Oracle
from mmrace.runs import cell
from mmrace.runs.record import Spec
from mmrace.symbols.resolve import Resolver
from mmrace.userland.image import job_segment

BOOT_SECONDS = 240.0
# Of guest workload time, which begins anew with each restore: more than a replay can need.
JOB_SECONDS = 600.0


@dataclass(frozen=True)
class Replays:
    """All replays of one witness on one kernel."""

    done: tuple[Replay, ...]

    @property
    def failed(self) -> int:
        """Replays that showed the race's own failure."""
        return sum(item.failed for item in self.done)

    @property
    def shown(self) -> int:
        """Replays of these in which it came right after the whole order."""
        return sum(item.shown for item in self.done)

    @property
    def reached(self) -> int:
        """Replays that came to the witness's first point."""
        return sum(item.reached for item in self.done)

    @property
    def complete(self) -> int:
        """Replays that carried out the whole order."""
        return sum(item.complete for item in self.done)

    @property
    def infeasible(self) -> int:
        """Replays that came to the first point and could not carry out the order."""
        return sum(item.infeasible for item in self.done)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Titles of failures that are not the race's own."""
        failures = [item.failure for item in self.done if item.failure and not item.failed]
        return tuple(failure.title for failure in failures)

    @property
    def seconds(self) -> tuple[float, ...]:
        """Seconds of each replay, on the host."""
        return tuple(item.seconds for item in self.done)


def follow(
    home: Home,
    spec: Spec,
    parts: cell.Parts,
    resolver: Resolver,
    witness: Witness,
    times: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Replays:
    """Boot once, then follow the witness from its race's start, ``seconds`` at most each time.

    UserError for a point that the kernel does not have; InfraError when QEMU fails or the race
    does not start.
    """
    placed = place(witness, resolver)
    tell("booting")
    with start(home, spec, parts) as kept:
        scheduler = Scheduler(kept, witness, placed, lambda: Oracle(spec.race, spec.workload))
        done: list[Replay] = []
        for number in range(times):
            tell(f"replay {number + 1} of {times}, {sum(r.failed for r in done)} failed")
            done.append(scheduler.replay(seconds))
    return Replays(tuple(done))


@contextmanager
def start(home: Home, spec: Spec, parts: cell.Parts) -> Iterator[Snapshot]:
    """Boot a cell's machine to its race's start, and keep that state."""
    announced = spec.workload.source is Source.STRESSOR
    with home.scratch(home.cache) as folder:
        initrd = folder / "initrd"
        initrd.write_bytes(parts.image.read_bytes() + job_segment(cell.job(spec)))
        boot = Boot(spec.machine, parts.kernel, initrd, spec.boot, parts.accel.name)
        with Snapshot(boot, folder) as kept:
            kept.boot(announced, BOOT_SECONDS)
            yield kept
