# SPDX-License-Identifier: GPL-2.0-only
"""What the judge looks at, read from a run directory."""

from dataclasses import replace

from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge, judge_replay
from mmrace.outcome import Judgement, VmEnd
from mmrace.runs.record import RunDir, Spec


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
        held=run.scheduled,
    )
