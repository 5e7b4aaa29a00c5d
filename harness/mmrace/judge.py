# SPDX-License-Identifier: GPL-2.0-only
"""From what a run left on disk to its outcome; pure.

The first of these that holds decides:

1. a crash that matches the race's signature: CRASH
2. a failure of the workload that matches it: FAIL
3. any other crash: CRASH, or HANG for stalls, lockups and hung tasks
4. any other failure that the workload reports, or a violated invariant: FAIL
5. the virtual machine did not get to the end: HANG, CRASH (reset) or INFRA
6. the workload could not do its work, or not enough of it: NOT_EXERCISED
7. PASS

A splat before the workload's start that the kernel survives is a note. A workload that the guest's
OOM killer ended is NOT_EXERCISED: the machine is too small for it, which says nothing of the race.
"""

import re
from dataclasses import dataclass, field

from mmrace import channel as channels
from mmrace import crash as crashes
from mmrace.channel import Channel, Iteration, Result, TimeIndex, second_of
from mmrace.crash import Crash
from mmrace.outcome import Judgement, Outcome, VmEnd, WindowCount
from mmrace.race import Race, Signature, Source, Workload

STRESSOR_BROKEN, STRESSOR_SKIP, SELFTEST_SKIP, NO_PROGRAM = 2, 4, 4, 127
TFAIL, TBROK, TWARN, TCONF = 1, 2, 4, 32  # LTP's include/tst_res_flags.h


@dataclass(frozen=True)
class Evidence:
    """All that one run left.

    The time indexes say when (seconds since QEMU's start) the byte at an offset had come;
    ``message`` is what QEMU or the harness said about the end.
    """

    race: Race
    workload: Workload
    end: VmEnd
    console: bytes
    channel: bytes
    console_times: TimeIndex = ()
    channel_times: TimeIndex = ()
    windows: tuple[WindowCount, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class _Finding:
    """A possible outcome; ``second``: when it showed, on the host's clock."""

    outcome: Outcome
    title: str = ""
    matched: bool = False
    second: float | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Case:
    """Evidence, read."""

    evidence: Evidence
    channel: Channel
    crashes: list[Crash] = field(default_factory=list)  # those that count
    notes: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "\n".join(said.text for said in self.channel.output)

    def second(self, offset: int) -> float | None:
        """When a byte of the channel came."""
        return second_of(self.evidence.channel_times, offset)


def judge(evidence: Evidence) -> Judgement:
    """Say what one run showed."""
    case = _Case(evidence, channels.parse(evidence.channel))
    _sort_crashes(case)
    exercised = {
        name: (case.channel.counters.get(name, 0), floor)
        for name, floor in evidence.workload.exercised.items()
    }
    finding = (
        _crash(case, matched=True)
        or _failure(case, matched=True)
        or _crash(case, matched=False)
        or _failure(case, matched=False)
        or _invariant(case)
        or _end(case)
        or _unable(case)
        or _floor(exercised)
        or _Finding(Outcome.PASS)
    )
    return Judgement(
        outcome=finding.outcome,
        title=finding.title,
        signature_matched=finding.matched,
        seconds_to_failure=_since_start(case, finding),
        exercised=exercised,
        windows=evidence.windows,
        notes=(*finding.notes, *_remarks(case, finding)),
    )


def _sort_crashes(case: _Case) -> None:
    """Set apart what the kernel said and survived before the workload began."""
    evidence = case.evidence
    started = case.channel.started
    begun = None if started is None else case.second(started)
    for crash in crashes.parse(evidence.console):
        came = second_of(evidence.console_times, crash.start)
        early = started is None or (begun is not None and came is not None and came < begun)
        if early and not crash.kind.fatal:
            case.notes.append(f"before the workload: {crash.title}")
        else:
            case.crashes.append(crash)


def _crash(case: _Case, *, matched: bool) -> _Finding | None:
    for crash in case.crashes:
        if matched and not _signed(case, crash):
            continue
        hang = crash.kind.hang and not matched
        outcome = Outcome.HANG if hang else Outcome.CRASH
        second = second_of(case.evidence.console_times, crash.start)
        notes = ("the report is torn or cut off",) if crash.corrupted else ()
        return _Finding(outcome, crash.title, matched, second, notes)
    return None


def _signed(case: _Case, crash: Crash) -> bool:
    """Whether a crash is the race's own."""
    text = crashes.report_text(case.evidence.console, crash)
    titles = (crash.title, *crash.alt_titles)
    for signature in case.evidence.race.signature:
        if not (signature.title or signature.report):
            continue
        if signature.title and not any(re.search(signature.title, title) for title in titles):
            continue
        if signature.report and not re.search(signature.report, text, re.MULTILINE):
            continue
        if _said(signature, case.output):
            return True
    return False


def _said(signature: Signature, output: str) -> bool:
    return not signature.output or bool(re.search(signature.output, output, re.MULTILINE))


def _failure(case: _Case, *, matched: bool) -> _Finding | None:
    """A failure of the workload, by the protocol of its kind."""
    failed = next((item for item in case.channel.iterations if _failed(case, item)), None)
    if not failed and not case.channel.failures:
        return None
    if matched and not _output_signed(case):
        return None
    if case.channel.failures:
        first = case.channel.failures[0]
        return _Finding(Outcome.FAIL, first.text, matched, case.second(first.offset))
    assert failed is not None  # noqa: S101
    title, offset = _first_complaint(case, failed)
    return _Finding(Outcome.FAIL, title, matched, case.second(offset))


def _output_signed(case: _Case) -> bool:
    """Whether what the workload said is the race's own failure."""
    only = [item for item in case.evidence.race.signature if not (item.title or item.report)]
    return any(_said(signature, case.output) for signature in only)


def _first_complaint(case: _Case, failed: Iteration) -> tuple[str, int]:
    """What to call the failure of an iteration, and where in the channel it showed."""
    patterns = [item.output for item in case.evidence.race.signature if item.output]
    patterns += [r"\bTFAIL\b", r"\bERROR\b|\bnot ok\b|\[FAIL\]|[Ff]ailed|\bFAIL\b"]
    for pattern in patterns:
        for said in case.channel.output:
            if said.offset < failed.offset and re.search(pattern, said.text):
                return said.text.strip(), said.offset
    how = f"exit code {failed.exit_code}"
    if failed.exit_code is None:
        how = "not ok"
    elif failed.exit_code < 0:
        how = f"killed by signal {-failed.exit_code}"
    return f"{case.evidence.workload.name}: {how}", failed.offset


def _failed(case: _Case, item: Iteration) -> bool:
    code = item.exit_code
    if item.result is not Result.NOT_OK or code == NO_PROGRAM:
        return False
    if code is None:
        return True
    if code < 0:
        return not _oom_killed(case, item)
    match case.evidence.workload.source:
        case Source.STRESSOR:
            return code == 1
        case Source.SELFTEST:
            return code not in (0, SELFTEST_SKIP)
        case Source.LTP:
            return bool(code & TFAIL)


_OOM = re.compile(rb"Out of memory: Kill(?:ed)? process (\d+) \(([^)\n]*)\)")


def _oom_killed(case: _Case, item: Iteration) -> bool:
    return item.exit_code == -9 and bool(_OOM.search(case.evidence.console))


def _invariant(case: _Case) -> _Finding | None:
    """A number that has to be at the end what it was before."""
    before, after = case.channel.before, case.channel.after
    for name in case.evidence.workload.invariants:
        if name not in after:
            continue
        expected = 0 if name == "isolated" else before.get(name)
        if expected is not None and after[name] != expected:
            was = before.get(name, "unknown")
            title = f"invariant {name}: {was} before, {after[name]} after"
            return _Finding(Outcome.FAIL, title)
    return None


def _end(case: _Case) -> _Finding | None:
    """A run that did not come to its end, and shows no failure that explains it."""
    channel, evidence = case.channel, case.evidence
    if channel.bailed:
        return _Finding(Outcome.INFRA, f"the guest could not be set up: {channel.bailed}")
    if channel.complete and channel.started is not None:
        return None
    started = channel.started is not None
    if evidence.end is VmEnd.SILENT:
        return _Finding(Outcome.HANG, f"no progress for {evidence.workload.silence} s")
    if evidence.end is VmEnd.RESET and started:
        return _Finding(Outcome.CRASH, "guest reset without a report")
    reason = _ENDS.get(evidence.end, "") if started else ""
    return _Finding(Outcome.INFRA, evidence.message or reason or "the workload never started")


_ENDS = {
    VmEnd.EXITED: "the guest powered off before its report was complete",
    VmEnd.TIMEOUT: "the run was stopped at its time limit",
    VmEnd.STOPPED: "stopped for a failure that the console does not show",
    VmEnd.QEMU_DIED: "QEMU died",
}


def _unable(case: _Case) -> _Finding | None:
    """A workload that could not do its work."""
    source = case.evidence.workload.source
    for item in case.channel.iterations:
        code = item.exit_code
        reason = ""
        if item.result is Result.SKIP:
            reason = f"it cannot run here (exit code {code})"
        elif item.result is Result.OK:
            continue
        elif _oom_killed(case, item):
            killed = _OOM.search(case.evidence.console)
            name = killed[2].decode(errors="replace") if killed else ""
            reason = f"the guest ran out of memory and killed {name}"
        elif code == NO_PROGRAM:
            reason = "its program could not be started"
        elif source is Source.LTP and code is not None:
            if not code & ~TWARN:
                continue  # only warnings: a remark
            reason = f"broken (TBROK, exit code {code})" if code & TBROK else f"exit code {code}"
        elif code == STRESSOR_BROKEN:
            reason = "broken (exit code 2)" + _why_broken(case)
        elif code == STRESSOR_SKIP:
            reason = "it cannot run here (exit code 4)"
        else:
            reason = f"exit code {code}, which its protocol does not know"
        note = f"{case.evidence.workload.name}: {reason}"
        return _Finding(Outcome.NOT_EXERCISED, notes=(note,))
    return None


def _why_broken(case: _Case) -> str:
    said = [line.text for line in case.channel.output if line.text.startswith("broken: ")]
    return f": {said[-1][8:]}" if said else ""


def _floor(exercised: dict[str, tuple[int, int]]) -> _Finding | None:
    """Too little of what proves that the race was exercised."""
    low = [
        f"{name}: {count}, at least {floor} wanted"
        for name, (count, floor) in exercised.items()
        if count < floor
    ]
    return _Finding(Outcome.NOT_EXERCISED, notes=tuple(low)) if low else None


def _since_start(case: _Case, finding: _Finding) -> float | None:
    """Seconds from the workload's start to the failure; None where the clock does not say."""
    started = case.channel.started
    begun = None if started is None else case.second(started)
    if begun is None or finding.second is None:
        return None
    return round(max(0.0, finding.second - begun), 3)


def _remarks(case: _Case, finding: _Finding) -> list[str]:
    """What else people may want to know."""
    notes = list(case.notes)
    titles = [crash.title for crash in case.crashes if crash.title != finding.title]
    notes += [f"also on the console: {title}" for title in dict.fromkeys(titles)]
    if case.evidence.workload.source is Source.LTP:
        warned = [item for item in case.channel.iterations if (item.exit_code or 0) & TWARN]
        notes += [f"{len(warned)} iterations ended with a warning (TWARN)"] if warned else []
    if finding.outcome is Outcome.FAIL and case.crashes:
        notes.append("the kernel crashed as well")
    notes += [
        f"window {window.name}: never reached"
        for window in case.evidence.windows
        if not window.hits
    ]
    if case.channel.torn:
        notes.append(f"{case.channel.torn} lines of the result channel are torn")
    return notes
