# SPDX-License-Identifier: GPL-2.0-only
"""One run of a workload: a machine from its boot to a judged run directory."""

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
from mmrace.runs.searched import write_searched
from mmrace.runs.watcher import Watcher
from mmrace.userland.image import ENDLESS, Job, job_segment
from mmrace.windows.delay import Delay

BOOT_SECONDS = 120.0
STALL_SECONDS = 15.0  # of a boot without a word; TCG boots in two
SLOW_STALL_SECONDS = 60.0  # of a kernel that is instrumented, many times slower
INSTRUMENTED = ("KASAN", "KCSAN", "KMSAN", "PROVE_LOCKING", "DEBUG_KMEMLEAK", "UBSAN", "KUNIT")
COARSE = 10.0  # seconds by which two attempts have to differ, for it to be worth a word
LONGEST = 7200.0  # seconds that the first iteration of a workload may take, whatever it prints
ZRAM = "zram"  # the fragment that gives a reproducer swap
# Of guest workload time, which begins anew with each restore: more than a replay can need.
JOB_SECONDS = 600.0


def run_workload(home: Home, spec: Spec, parts: Parts, tell: Callable[[str], None]) -> RunDir:
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
            write_searched(folder, director, failed=judged.outcome.failed)
        scratch.store(judged)
        return judged


def _stall(config: str) -> float:
    """Seconds of silence that make a hang of a boot."""
    lines = set(config.splitlines())
    slow = any(f"CONFIG_{name}=y" in lines for name in INSTRUMENTED)
    return SLOW_STALL_SECONDS if slow else STALL_SECONDS


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


def _segment(spec: Spec, delay: Delay | None, config: bytes | None) -> bytes:
    if not delay:
        return job_segment(job(spec), config)
    return job_segment(replace(job(spec), windows=delay.lines()), config, delay.module)


def job(spec: Spec) -> Job:
    """The job for PID 1."""
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
