# SPDX-License-Identifier: GPL-2.0-only
"""Replays of a witness on one kernel; each has a run directory."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from mmrace import crash
from mmrace.errors import InfraError
from mmrace.guests.accel import steering_under_kvm
from mmrace.guests.attempts import Replay
from mmrace.guests.guest import StartError
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.guests.scheduler import Scheduler
from mmrace.guests.snapshot import NotReachedError, Snapshot
from mmrace.home import Home
from mmrace.judging.oracle import Oracle
from mmrace.outcome import VmEnd
from mmrace.proc import can_confine
from mmrace.runs.evidence import judge_run
from mmrace.runs.parts import Parts
from mmrace.runs.record import RunDir, Spec, VmRecord, finish, write_json
from mmrace.runs.workload import job
from mmrace.userland.image import job_segment

BOOT_SECONDS = 240.0


@dataclass(frozen=True)
class Replays:
    """Several replays of one witness on one kernel, and their run directories."""

    done: tuple[Replay, ...]
    runs: tuple[RunDir, ...] = ()

    @property
    def failed(self) -> int:
        """Number of replays that showed the race's own failure."""
        return sum(item.failed for item in self.done)

    @property
    def shown(self) -> int:
        """Number of replays in which that failure came right after the whole order."""
        return sum(item.shown for item in self.done)

    @property
    def reached(self) -> int:
        """Number of replays that reached the witness's first point."""
        return sum(item.reached for item in self.done)

    @property
    def complete(self) -> int:
        """Number of replays that carried out the whole order."""
        return sum(item.complete for item in self.done)

    @property
    def infeasible(self) -> int:
        """Number of replays that reached the first point and could not carry out the order."""
        return sum(item.infeasible for item in self.done)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Titles of failures that are not the race's own."""
        failures = [item.failure for item in self.done if item.failure and not item.failed]
        return tuple(failure.title for failure in failures)

    @property
    def seconds(self) -> tuple[float, ...]:
        """Host seconds of each replay."""
        return tuple(item.seconds for item in self.done)


def run_replay(home: Home, spec: Spec, parts: Parts, tell: Callable[[str], None]) -> RunDir:
    """Boot, replay the witness once, and publish a run directory.

    A guest that does not reach its race phase, or whose QEMU dies, gives a run with the outcome
    INFRA, unless its console shows a failure. Raises InfraError when QEMU cannot be started.
    """
    tell("booting")
    with _snapshot(home, spec, parts) as kept:
        try:
            kept.boot(spec.workload.announces_race, BOOT_SECONDS)
        except StartError:
            raise
        except NotReachedError as error:
            return _publish(home, spec, parts, kept, _nothing(spec), VmEnd.BOOT_TIMEOUT, error)
        except InfraError as error:
            return _publish(home, spec, parts, kept, _nothing(spec), VmEnd.QEMU_DIED, error)
        tell("replaying")
        try:
            one = _replay(kept, spec, parts)
        except InfraError as error:
            return _publish(home, spec, parts, kept, _nothing(spec), VmEnd.QEMU_DIED, error)
        return _publish(home, spec, parts, kept, one)


def follow(
    home: Home, spec: Spec, parts: Parts, times: int, tell: Callable[[str], None]
) -> Replays:
    """Boot once, then replay the witness ``times`` times from its snapshot.

    Each has a run directory. Raises InfraError when QEMU fails or the guest does not reach its race
    phase.
    """
    tell("booting")
    done: list[Replay] = []
    runs: list[RunDir] = []
    with start(home, spec, parts) as kept:
        for number in range(1, times + 1):
            tell(f"replay {number} of {times}, {sum(item.failed for item in done)} failed")
            done.append(_replay(kept, spec, parts))
            own = spec.model_copy(update={"id": f"{spec.id}-{number}"})
            runs.append(_publish(home, own, parts, kept, done[-1]))
    return Replays(tuple(done), tuple(runs))


def _replay(kept: Snapshot, spec: Spec, parts: Parts) -> Replay:
    assert spec.witness  # noqa: S101
    scheduler = Scheduler(
        kept, spec.witness, parts.placed, lambda: Oracle(spec.race, spec.workload)
    )
    return scheduler.replay(spec.seconds)


def _nothing(spec: Spec) -> Replay:
    """The record of a replay whose guest never reached the race phase."""
    assert spec.witness  # noqa: S101
    return Replay(attempts=(), total=len(spec.witness.step), failure=None, seconds=0.0)


def _publish(
    home: Home,
    spec: Spec,
    parts: Parts,
    kept: Snapshot,
    one: Replay,
    end: VmEnd = VmEnd.STOPPED,
    fault: InfraError | None = None,
) -> RunDir:
    """Write everything that a replay left, judge it from there, and publish the directory."""
    with home.scratch(home.runs) as folder:
        write_json(folder / "spec.json", spec.model_dump(mode="json"))
        shutil.copyfile(parts.config, folder / "config")
        kept.save(folder)
        fields = asdict(replace(one, failure=None, since=kept.since))
        write_json(folder / "replay.json", {**fields, "failure": None})
        vm = VmRecord(
            argv=kept.argv,
            version=qemu_version(),
            accel=parts.accel.name,
            accel_reason=parts.accel.reason,
            end=end,
            seconds=kept.seconds,
            message=fault.message if fault else "",
            confined=can_confine(),
            steering_under_kvm=steering_under_kvm(parts.accel),
        )
        write_json(folder / "qemu.json", asdict(vm))
        run = RunDir(folder)
        run.keep_crashes(crash.parse(run.console()))
        run.store(judge_run(run))
        return finish(home, folder, spec.id)


@contextmanager
def start(home: Home, spec: Spec, parts: Parts) -> Iterator[Snapshot]:
    """Boot a cell's guest to the start of its race phase, and take a snapshot."""
    with _snapshot(home, spec, parts) as kept:
        kept.boot(spec.workload.announces_race, BOOT_SECONDS)
        yield kept


@contextmanager
def _snapshot(home: Home, spec: Spec, parts: Parts) -> Iterator[Snapshot]:
    with home.scratch(home.cache) as folder:
        initrd = folder / "initrd"
        initrd.write_bytes(parts.image.read_bytes() + job_segment(job(spec)))
        boot = Boot(spec.machine, parts.kernel, initrd, spec.boot, parts.accel.name)
        with Snapshot(boot, folder) as kept:
            yield kept
