# SPDX-License-Identifier: GPL-2.0-only
"""One run of a workload: from booting a guest to a judged run directory."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from mmrace import crash
from mmrace.definitions.race import Probe, Source
from mmrace.guests.accel import steering_under_kvm
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.guests.vm import Hooks, Limits, run_vm
from mmrace.home import Home, write_file
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome
from mmrace.proc import can_confine
from mmrace.runs.evidence import evidence
from mmrace.runs.parts import Parts
from mmrace.runs.record import RunDir, Spec, VmRecord, finish, write_json
from mmrace.runs.searched import write_counts, write_seen
from mmrace.runs.traces import write_traces
from mmrace.runs.watcher import Watcher
from mmrace.userland.image import ENDLESS, Job, job_segment
from mmrace.windows.delay import Delay

BOOT_SECONDS = 120.0
STALL_SECONDS = 15.0  # of silence that make a boot a hang; TCG boots in 2 s
SLOW_STALL_SECONDS = 60.0  # the same for an instrumented kernel, which is many times slower
INSTRUMENTED = ("KASAN", "KCSAN", "KMSAN", "PROVE_LOCKING", "DEBUG_KMEMLEAK", "UBSAN", "KUNIT")
COARSE = 10.0  # seconds; smaller differences between two attempts are not reported
LONGEST = 7200.0  # seconds, at most, of a workload's first iteration, even if it prints
ZRAM = "zram"  # the fragment with swap for reproducers
# Guest seconds of workload, counted anew after each restore: more than a replay can need.
JOB_SECONDS = 600.0


def run_workload(home: Home, spec: Spec, parts: Parts, tell: Callable[[str], None]) -> RunDir:
    """Boot, run, judge; publish the run directory when it is complete.

    A run with the outcome INFRA is made once more; its first attempt is kept beside it. Raises
    InfraError when QEMU cannot be started; a guest that starts and fails twice gives a run with the
    outcome INFRA.
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
    """Run one guest; everything that it leaves, and its judgement, is written to ``folder``."""
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
            log=parts.log,
        )
        scratch = RunDir(folder)
        watcher = Watcher(spec, tell, director)
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
            if director.plan.search:
                write_counts(folder, director)
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
        what = watcher.crashes.read(evidence(scratch, spec, ended.end, ended.message))
        scratch.keep_crashes(crash.parse(what.console) if what.crashes is None else what.crashes)
        judged = judge(what)
        judged = replace(judged, notes=(*judged.notes, *ended.notes))
        if director and director.plan.search:
            write_seen(folder, director, failed=judged.outcome.failed)
            if judged.signature_matched:
                write_traces(folder, director)
        scratch.store(judged)
        return judged


def _stall(config: str) -> float:
    """Seconds of silence that make a boot a hang, for a kernel's configuration."""
    lines = set(config.splitlines())
    slow = any(f"CONFIG_{name}=y" in lines for name in INSTRUMENTED)
    return SLOW_STALL_SECONDS if slow else STALL_SECONDS


def _set_aside(folder: Path) -> RunDir:
    """Move the files of the first attempt to a directory of their own."""
    aside = folder / "attempt-1"
    aside.mkdir()
    for path in sorted(folder.iterdir()):
        if path != aside and path.name not in ("spec.json", "config"):
            path.rename(aside / path.name)
    return RunDir(aside)


def _differed(first: RunDir, second: RunDir) -> str:
    """What differed in the second attempt, in one line."""
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


def _segment(spec: Spec, delay: Delay | None, config: bytes | None) -> bytes:
    if not delay:
        return job_segment(job(spec), config)
    return job_segment(replace(job(spec), windows=delay.lines()), config, delay.module)


def job(spec: Spec) -> Job:
    """Return the job for PID 1."""
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
