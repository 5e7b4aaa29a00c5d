# SPDX-License-Identifier: GPL-2.0-only
"""The judge's input, read from a run directory."""

from dataclasses import replace

from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge, judge_replay
from mmrace.outcome import Judgement, VmEnd
from mmrace.runs.record import RunDir, Spec
from mmrace.runs.searched import was_scheduled


def judge_run(run: RunDir) -> Judgement:
    """Judge a finished run or replay from its directory."""
    what, replay = recorded_evidence(run), run.replay()
    if not replay:
        return judge(what)
    return judge_replay(replace(what, since=replay.since), replay.reached, replay.reasons)


def recorded_evidence(run: RunDir) -> Evidence:
    """Return the judge's input for a finished run."""
    vm = run.vm()
    return evidence(run, run.spec(), vm.end, vm.message)


def evidence(run: RunDir, spec: Spec, end: VmEnd, message: str = "") -> Evidence:
    """Return the judge's input from a run directory; ``end``, ``message``: how QEMU ended."""
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
        held=was_scheduled(run.folder),
    )
