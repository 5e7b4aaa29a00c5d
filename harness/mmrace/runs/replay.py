# SPDX-License-Identifier: GPL-2.0-only
"""A witness, followed again and again on one kernel."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from mmrace.definitions.race import Source
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.guests.scheduler import Replay, Scheduler
from mmrace.guests.snapshot import Snapshot
from mmrace.home import Home
from mmrace.judging.oracle import Oracle
from mmrace.outcome import Judgement, Outcome, VmEnd
from mmrace.runs import cell
from mmrace.runs.record import RunDir, Spec, VmRecord, finish, write_json
from mmrace.userland.image import job_segment

BOOT_SECONDS = 240.0


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


def run_replay(home: Home, spec: Spec, parts: cell.Parts, tell: Callable[[str], None]) -> RunDir:
    """Boot, follow the witness once, and publish that as a run directory.

    InfraError when QEMU fails, or the race does not start.
    """
    assert spec.witness  # noqa: S101
    with home.scratch(home.runs) as folder, start(home, spec, parts) as kept:
        scheduler = Scheduler(
            kept, spec.witness, parts.placed, lambda: Oracle(spec.race, spec.workload)
        )
        tell("replaying")
        one = scheduler.replay(spec.seconds)
        (folder / "spec.json").write_text(spec.model_dump_json(indent=1) + "\n", encoding="utf-8")
        shutil.copyfile(parts.config, folder / "config")
        guest = kept.current
        for name, log in (("console", guest.console), ("channel", guest.channel)):
            (folder / f"{name}.log").write_bytes(log)
            (folder / f"{name}.times").write_text(f"{one.seconds:.3f} {len(log)}\n")
        write_json(folder / "attempts.json", [asdict(item) for item in one.attempts])
        vm = VmRecord(
            argv=(),
            version=qemu_version(),
            accel=parts.accel.name,
            accel_reason=parts.accel.reason,
            end=VmEnd.STOPPED,
            seconds=one.seconds,
        )
        write_json(folder / "qemu.json", asdict(vm))
        RunDir(folder).store(judgement_of(one))
        return finish(home, folder, spec.id)


def judgement_of(replay: Replay) -> Judgement:
    """Say what a replay showed; one that did not reach its first sync point is INFEASIBLE.

    A kernel that holds because the schedule cannot be carried out on it has held: that is what a
    fix does.
    """
    if replay.failure:
        return replay.failure
    return Judgement(Outcome.PASS if replay.reached else Outcome.INFEASIBLE)


def follow(
    home: Home,
    spec: Spec,
    parts: cell.Parts,
    times: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Replays:
    """Boot once, then follow the witness from its race's start, ``seconds`` at most each time.

    UserError for a point that the kernel does not have; InfraError when QEMU fails or the race
    does not start.
    """
    assert spec.witness  # noqa: S101
    tell("booting")
    with start(home, spec, parts) as kept:
        scheduler = Scheduler(
            kept, spec.witness, parts.placed, lambda: Oracle(spec.race, spec.workload)
        )
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
