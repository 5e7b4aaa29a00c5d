# SPDX-License-Identifier: GPL-2.0-only
"""One cell of work: kernel, image, machine, workload and seed become a run directory."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace import crash
from mmrace.definitions.machine import Machine
from mmrace.definitions.race import Probe, Source
from mmrace.guests.accel import Accel, steering_under_kvm
from mmrace.guests.printk import LogBuffer, log_buffer
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.guests.scheduler import Placed
from mmrace.guests.vm import Hooks, Limits, run_vm
from mmrace.home import Home, write_file
from mmrace.judging.crashwatch import CrashWatch
from mmrace.judging.evidence import Evidence
from mmrace.judging.exercise import Exercise
from mmrace.judging.judge import judge, judge_replay
from mmrace.outcome import Judgement, Outcome, VmEnd
from mmrace.proc import can_confine
from mmrace.runs.record import RunDir, Spec, VmRecord, finish, write_json
from mmrace.userland.image import ENDLESS, Job, job_segment
from mmrace.windows.delay import Delay
from mmrace.windows.director import Director, race_phase

BOOT_SECONDS = 120.0
STALL_SECONDS = 15.0  # of a boot without a word; TCG boots in two
SLOW_STALL_SECONDS = 60.0  # of a kernel that is instrumented, many times slower
INSTRUMENTED = ("KASAN", "KCSAN", "KMSAN", "PROVE_LOCKING", "DEBUG_KMEMLEAK", "UBSAN", "KUNIT")
COARSE = 10.0  # seconds by which two attempts have to differ, for it to be worth a word
LONGEST = 7200.0  # seconds that the first iteration of a workload may take, whatever it prints
# Of guest workload time, which begins anew with each restore: more than a replay can need.
JOB_SECONDS = 600.0
ZRAM = "zram"  # the fragment that gives a reproducer swap
PROBE_SECONDS = 20.0  # TCG needs 2 s; a guest slower than this under KVM crawls


@dataclass(frozen=True)
class Parts:
    """What a cell needs beside its spec: files, and the accelerator chosen for this host."""

    kernel: Path
    config: Path
    image: Path
    accel: Accel
    director: Director | None = None
    delay: Delay | None = None
    placed: tuple[Placed, ...] = ()  # of a replay: the witness's steps in this kernel


def run_cell(home: Home, spec: Spec, parts: Parts, tell: Callable[[str], None]) -> RunDir:
    """Boot, run, judge; the directory appears among the runs when it is complete.

    A run that shows nothing (INFRA) is made once more; its first attempt stays beside it. Raises
    InfraError when QEMU cannot be started at all; a machine that starts and then fails twice is a
    run with the outcome INFRA.
    """
    with home.scratch(home.runs) as folder:
        (folder / "spec.json").write_text(spec.model_dump_json(indent=1) + "\n", encoding="utf-8")
        shutil.copyfile(parts.config, folder / "config")
        judged = _attempt(spec, parts, folder, tell)
        if judged.outcome is Outcome.INFRA:
            tell(f"{judged.title}; once more")
            first = _set_aside(folder)
            judged = _attempt(spec, parts, folder, tell)
            noted = (*judged.notes, _differed(first, RunDir(folder)))
            RunDir(folder).store(replace(judged, notes=noted))
        return finish(home, folder, spec.id)


def _attempt(spec: Spec, parts: Parts, folder: Path, tell: Callable[[str], None]) -> Judgement:
    """Boot one machine; all that it leaves is in ``folder``, with its judgement."""
    with ExitStack() as stack:
        initrd = folder / "initrd"
        config = parts.config.read_bytes() if spec.workload.source is Source.LTP else None
        initrd.write_bytes(parts.image.read_bytes() + _segment(spec, parts.delay, config))
        director = stack.enter_context(parts.director) if parts.director else None
        version = qemu_version()
        boot = Boot(
            spec.machine,
            parts.kernel,
            initrd,
            spec.boot,
            parts.accel.name,
            tuple(director.qemu_args(version)) if director else (),
            writable=(director.path,) if director else (),
            readable=(director.plugin_for(version),) if director else (),
            log=_log_buffer(parts.kernel),
        )
        scratch = RunDir(folder)
        watcher = _Watcher(spec, tell, director)
        limits = Limits(
            boot=BOOT_SECONDS,
            stall=_stall(parts.config.read_text(encoding="utf-8", errors="replace")),
            silence=spec.workload.silence,
            total=BOOT_SECONDS + 3 * spec.most + min(20 * spec.workload.silence, LONGEST),
        )
        hooks = Hooks(line=watcher.line, failing=watcher.failing, pause=watcher.pause)
        tell("booting")
        ended, argv = run_vm(boot, folder, limits, hooks)
        initrd.unlink()
        if director:
            write_json(folder / "windows.json", [asdict(item) for item in director.counts()])
            if director.plan.meters:
                write_json(folder / "meters.json", [asdict(item) for item in director.measured()])
            write_file(folder / "holds.json", json.dumps(director.story()) + "\n")
        if parts.delay:
            counts = parts.delay.counts(scratch.channel(), scratch.console())
            write_json(folder / "windows.json", [asdict(item) for item in counts])
        vm = VmRecord(
            argv=argv,
            version=version,
            accel=parts.accel.name,
            accel_reason=parts.accel.reason,
            end=ended.end,
            seconds=ended.seconds,
            message=ended.message,
            confined=can_confine(),
            steering_under_kvm=steering_under_kvm(parts.accel) if spec.steered else "",
        )
        write_json(folder / "qemu.json", asdict(vm))
        what = evidence(scratch, spec, ended.end, ended.message)
        found = watcher.crashes.crashes(what.console)
        found = crash.parse(what.console) if found is None else found
        scratch.keep_crashes(found)
        judged = judge(replace(what, crashes=found))
        judged = replace(judged, notes=(*judged.notes, *ended.notes))
        scratch.store(judged)
        return judged


def _stall(config: str) -> float:
    """Seconds of silence that make a hang of a boot."""
    lines = set(config.splitlines())
    slow = any(f"CONFIG_{name}=y" in lines for name in INSTRUMENTED)
    return SLOW_STALL_SECONDS if slow else STALL_SECONDS


def _log_buffer(kernel: Path) -> LogBuffer | None:
    try:
        return log_buffer((kernel.parent / "System.map").read_text(encoding="ascii"))
    except (OSError, ValueError):  # not every kernel has one beside it
        return None


def _set_aside(folder: Path) -> RunDir:
    """Move what the first attempt left to a directory of its own."""
    aside = folder / "attempt-1"
    aside.mkdir()
    for path in sorted(folder.iterdir()):
        if path != aside and path.name not in ("spec.json", "config"):
            path.rename(aside / path.name)
    return RunDir(aside)


def _differed(first: RunDir, second: RunDir) -> str:
    """What was not the same at the second attempt, in one line."""
    before, after = (
        {
            "outcome": f"{run.judgement().outcome} {run.judgement().title}".strip(),
            "end": str(run.vm().end),
            "seconds": f"about {COARSE * round(run.vm().seconds / COARSE):.0f}",
            "console": f"{len(run.console())} bytes",
        }
        for run in (first, second)
    )
    words = [
        f"{name} {before[name]}, then {after[name]}"
        for name in before
        if before[name] != after[name]
    ]
    return f"two attempts: {'; '.join(words) or 'both ' + before['outcome']}"


def probe_kvm(home: Home, machine: Machine, kernel: Path, image: Path) -> str:
    """Boot a guest under KVM with a short deadline; return what went wrong, "" when it worked."""
    reached: list[str] = []

    def line(text: str) -> None:
        if text.startswith("# start"):
            reached.append(text)

    with home.scratch(home.cache) as folder:
        initrd = folder / "initrd"
        probe = Job(name="probe", argv=("true",), seconds=1, iterations=1)
        initrd.write_bytes(image.read_bytes() + job_segment(probe))
        boot = Boot(machine, kernel, initrd, machine.boot, "kvm")
        limits = Limits(boot=PROBE_SECONDS, silence=5, total=2 * PROBE_SECONDS)
        ended, _ = run_vm(boot, folder, limits, Hooks(line=line))
        said = (folder / "console.log").read_bytes().decode(errors="replace").splitlines()
    if reached:
        return ""
    fault = next((text.strip() for text in said if "KVM" in text), ended.message)
    return f"a probe guest under KVM ended with {ended.end}: {fault}"


def _segment(spec: Spec, delay: Delay | None, config: bytes | None) -> bytes:
    if not delay:
        return job_segment(job(spec), config)
    return job_segment(replace(job(spec), windows=delay.lines()), config, delay.module)


def job(spec: Spec) -> Job:
    """What PID 1 is told."""
    workload = spec.workload
    chosen: tuple[Probe, ...] = tuple(
        probe for probe in spec.race.probe if probe.name in workload.probes
    )
    return Job(
        name=workload.name,
        argv=workload.argv,
        env=workload.env,
        seconds=JOB_SECONDS if spec.witness else spec.seconds,
        at_most=JOB_SECONDS if spec.witness else spec.most,
        seed=spec.seed,
        hugepages=tuple(node.hugepages for node in spec.machine.node),
        probes=chosen,
        source=workload.source,
        iterations=workload.iterations,
        execution=workload.execution,
        places=spec.places,
        zram=ZRAM in spec.configs,
        failures=ENDLESS if workload.tolerates(spec.release) else None,
    )


def judge_run(run: RunDir) -> Judgement:
    """Judge a finished run or replay from its directory."""
    what, replay = recorded_evidence(run), run.replay()
    if not replay:
        return judge(what)
    return judge_replay(replace(what, since=replay.since), replay.reached, replay.reasons)


def recorded_evidence(run: RunDir) -> Evidence:
    """Everything the judge looks at, of a finished run."""
    vm = run.vm()
    return evidence(run, run.spec(), vm.end, vm.message)


def evidence(run: RunDir, spec: Spec, end: VmEnd, message: str = "") -> Evidence:
    """Everything the judge looks at, read from a run directory."""
    return Evidence(
        race=spec.race,
        workload=spec.workload,
        console=run.console(),
        channel=run.channel(),
        console_times=run.times("console"),
        channel_times=run.times("channel"),
        end=end,
        message=message,
        windows=run.windows(),
    )


class _Watcher:
    """Follows a running machine: arms the director, tells people, notices failure and proof."""

    def __init__(self, spec: Spec, tell: Callable[[str], None], director: Director | None) -> None:
        self._spec = spec
        self._tell = tell
        self._director = director
        self.crashes = CrashWatch(spec.race)
        self._exercise = Exercise(spec.workload.exercised)

    def line(self, line: str) -> bytes | None:
        """Take a line of the result channel; returns what the guest is to be told."""
        if line.startswith("# start"):
            self._tell("workload started")
        elif line.startswith(("# count", "# out mmrace: count")):
            self._tell(line.removeprefix("# out mmrace: ").removeprefix("# "))
        if self._director:
            announced = self._spec.workload.source is Source.STRESSOR
            phase = race_phase(line, announced)
            if phase:
                self._director.arm()
            elif phase is False:
                self._director.disarm()
        self.crashes.line(line)
        return self._exercise.line(line)

    def pause(self) -> bool:
        """Whether the director needs the vCPUs to stop for a moment."""
        return self._director is not None and self._director.blind

    def failing(self, data: bytes) -> bool:
        """Whether the race's own crash is complete on the console: nothing can change that."""
        self.crashes.console(data)
        return self.crashes.own
