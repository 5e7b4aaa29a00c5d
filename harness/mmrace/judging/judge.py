# SPDX-License-Identifier: GPL-2.0-only
"""From what a run left on disk to its outcome; pure.

The first of these that holds decides:

1. a crash that matches the race's signature: CRASH
2. a failure of the workload that matches it: FAIL
3. any other crash: CRASH, or HANG for stalls, lockups and hung tasks
4. any other failure that the workload reports, or a violated invariant: FAIL
5. the virtual machine did not get to the end: HANG (also of a boot), CRASH (reset) or INFRA
6. the workload could not do its work, or not enough of it: NOT_EXERCISED
7. PASS

Of a reproducer only what the kernel reports is a failure, unless its user says that its own end is
one.

An LTP test's failure that the workload tolerates on this kernel's version is a note, and its
iteration counts for what it exercised.

A splat before the workload's start that the kernel survives is a note. A workload that the guest's
OOM killer ended is NOT_EXERCISED: the machine is too small for it, which is no evidence about the
race.
"""

from collections.abc import Sequence
from dataclasses import replace

from mmrace import crash as crashes
from mmrace.crash import Crash, dmesg
from mmrace.definitions.race import FailsBy, Source
from mmrace.definitions.reproducer import EXECUTIONS, FUNCTIONS
from mmrace.judging import channel as channels
from mmrace.judging import subtests
from mmrace.judging.channel import second_of
from mmrace.judging.evidence import Case, Evidence, Finding
from mmrace.judging.protocol import TWARN, ends, failure, tolerated, unable
from mmrace.judging.signature import in_report
from mmrace.outcome import Judgement, Outcome, VmEnd


def judge(evidence: Evidence) -> Judgement:
    """Return the outcome of one run."""
    case = Case(evidence, channels.parse(evidence.channel))
    _sort_crashes(case)
    counters = {**case.channel.counters, EXECUTIONS: case.channel.executions}
    counted = [f"probe:{name}" for name in evidence.workload.probes]
    counters[FUNCTIONS] = sum(counters.get(name, 0) for name in counted)
    exercised = {
        name: (counters.get(name, 0), least) for name, least in evidence.workload.min_counts.items()
    }
    finding = (
        _failure(case)
        or _invariant(case)
        or _end(case)
        or unable(case)
        or _below_min_count(case, exercised)
        or Finding(Outcome.PASS)
    )
    return Judgement(
        outcome=finding.outcome,
        title=finding.title,
        signature_matched=finding.matched,
        seconds_to_failure=_since_start(case, finding),
        exercised=exercised,
        windows=evidence.windows,
        notes=(*finding.notes, *_remarks(case, finding)),
        stressed=_stressed(case, finding),
    )


def judge_replay(evidence: Evidence, reached: bool, reasons: Sequence[str]) -> Judgement:
    """Return the outcome of one replay of a witness.

    Failures count as in a run, except for watchdog reports, which holding causes. If the schedule
    could not be carried out, the kernel has held, as a fix prevents it; but if the replay never
    ``reached`` the first sync point, it is INFEASIBLE. ``reasons``: why attempts got no farther.
    """
    case = Case(replace(evidence, held=True), channels.parse(evidence.channel))
    _sort_crashes(case)
    ended = None if evidence.end is VmEnd.STOPPED else _end(case)
    held = Finding(Outcome.PASS if reached else Outcome.INFEASIBLE)
    finding = _failure(case) or ended or held
    return Judgement(
        outcome=finding.outcome,
        title=finding.title,
        signature_matched=finding.matched,
        seconds_to_failure=_since_start(case, finding),
        notes=(*finding.notes, *reasons, *_remarks(case, finding)),
    )


def _failure(case: Case) -> Finding | None:
    """The failure that decides: the race's own, then a crash, then a failure of the workload."""
    return (
        _crash(case, matched=True)
        or failure(case, matched=True)
        or _crash(case, matched=False)
        or failure(case, matched=False)
    )


def _sort_crashes(case: Case) -> None:
    """Separate the crashes that the kernel survived before the workload's start."""
    evidence = case.evidence
    started = case.channel.started
    begun = None if started is None else case.second(started)
    found = evidence.crashes
    for crash in crashes.parse(evidence.console) if found is None else found:
        came = second_of(evidence.console_times, crash.start)
        early = started is None or (begun is not None and came is not None and came < begun)
        early = early or crash.start < evidence.since
        if early and not crash.kind.fatal:
            case.notes.append(f"before the workload: {crash.title}")
        else:
            case.crashes.append(crash)


def _crash(case: Case, *, matched: bool) -> Finding | None:
    for crash in case.crashes:
        if matched and not _signed(case, crash):
            continue
        hang = crash.kind.hang and not matched
        if hang and case.evidence.held:
            continue
        outcome = Outcome.HANG if hang else Outcome.CRASH
        second = second_of(case.evidence.console_times, crash.start)
        notes = (f"corrupted report: {crash.corrupted}",) if crash.corrupted else ()
        return Finding(outcome, crash.title, matched, second, notes)
    return None


def _signed(case: Case, crash: Crash) -> bool:
    """Whether a crash matches the race's signature."""
    evidence = case.evidence
    return any(
        in_report(signature, crash, evidence.console) and case.output_matches(signature)
        for number, signature in enumerate(evidence.race.signature)
        if evidence.shown is None or number in evidence.shown
    )


def _invariant(case: Case) -> Finding | None:
    """A violated invariant: a value that differs between start and end."""
    before, after = case.channel.before, case.channel.after
    for name in case.evidence.workload.invariants:
        if name not in after:
            continue
        expected = 0 if name == "isolated" else before.get(name)
        if expected is not None and after[name] != expected:
            was = before.get(name, "unknown")
            title = f"invariant {name}: {was} before, {after[name]} after"
            return Finding(Outcome.FAIL, title)
    return None


def _end(case: Case) -> Finding | None:
    """An abnormal end of a run that no failure explains."""
    channel, evidence = case.channel, case.evidence
    if channel.bailed:
        return Finding(Outcome.INFRA, f"the guest could not be set up: {channel.bailed}")
    if channel.complete and channel.started is not None:
        return None
    started = channel.started is not None
    if evidence.end is VmEnd.SILENT:
        own = FailsBy.HANG in evidence.workload.execution.fails_by
        return Finding(Outcome.HANG, f"no progress for {evidence.workload.silence} s", own)
    if evidence.end is VmEnd.BOOT_STALL and not started:
        last_message = _last_message(evidence.console)
        return Finding(Outcome.HANG, f"the boot hangs {last_message}")
    if evidence.end is VmEnd.RESET:
        when = "" if started else " while it booted"
        return Finding(Outcome.CRASH, f"guest reset{when} without a report")
    reason = _ENDS.get(evidence.end, "") if started else ""
    return Finding(Outcome.INFRA, evidence.message or reason or "the workload never started")


_ENDS = {
    VmEnd.EXITED: "the guest powered off before its report was complete",
    VmEnd.TIMEOUT: "the run was stopped at its time limit",
    VmEnd.STOPPED: "stopped for a failure that the console does not show",
    VmEnd.QEMU_DIED: "QEMU died",
}


def _last_message(console: bytes) -> str:
    """The console's last message, without its time, so that equal hangs have equal titles."""
    for raw in reversed(console.splitlines()):
        for line in dmesg.split(raw, 0):
            if line.text.strip():
                return f"after: {line.text.strip()}"
    return "before its first message"


def _below_min_count(case: Case, exercised: dict[str, tuple[int, int]]) -> Finding | None:
    """NOT_EXERCISED when a counter is below its min count."""
    low = [
        f"{_counted(case, name)}: {count}, at least {least} wanted"
        for name, (count, least) in exercised.items()
        if count < least
    ]
    return Finding(Outcome.NOT_EXERCISED, notes=tuple(low)) if low else None


def _counted(case: Case, name: str) -> str:
    """A counter's name for people."""
    if name == FUNCTIONS:
        return f"executions of {', '.join(case.evidence.workload.probes)}"
    return name


def _since_start(case: Case, finding: Finding) -> float | None:
    """Seconds from the workload's start to the failure; None if a time is unknown."""
    started = case.channel.started
    begun = None if started is None else case.second(started)
    if begun is None or finding.second is None:
        return None
    return round(max(0.0, finding.second - begun), 3)


def _stressed(case: Case, finding: Finding) -> float | None:
    """Seconds in the race phase until the failure, or to the end; None if unknown.

    For ended iterations, in guest time as reported by PID 1; for the iteration that failed, on the
    host's clock.
    """
    channel, failed = case.channel, finding.second
    if channel.seconds_raced is None or (failed is None and not channel.complete):
        return None
    if failed is None:
        return round(channel.seconds_raced, 3)
    if case.evidence.workload.source is Source.STRESSOR:
        begins: list[int] = list(channel.races)
    else:
        begins = [item.offset for item in channel.iterations]
        begins += [] if channel.started is None else [channel.started]
    earlier = [
        item.raced or 0.0
        for item in channel.iterations
        if (ended := case.second(item.offset)) is not None and ended < failed
    ]
    begun = [second for offset in begins if (second := case.second(offset)) is not None]
    last = max((second for second in begun if second < failed), default=failed)
    return round(sum(earlier) + failed - last, 3)


def _remarks(case: Case, finding: Finding) -> list[str]:
    """Notes for people on the outcome."""
    notes = list(case.notes)
    titles = [crash.title for crash in case.crashes if crash.title != finding.title]
    notes += [f"also on the console: {title}" for title in dict.fromkeys(titles)]
    if case.evidence.workload.source is Source.LTP:
        warned = [item for item in case.channel.iterations if (item.exit_code or 0) & TWARN]
        notes += [f"{len(warned)} iterations ended with a warning (TWARN)"] if warned else []
        notes += _tolerated(case)
    notes += subtests.remarks(case)
    if case.evidence.workload.source is Source.REPRODUCER:
        notes += ends(case)
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


def _tolerated(case: Case) -> list[str]:
    """Notes on iterations with a failure that the workload tolerates on this kernel version."""
    reasons = [one.reason for item in case.channel.iterations for one in tolerated(case, item)]
    return [
        f"{reasons.count(reason)} iterations failed, which is not the race's: {reason}"
        for reason in dict.fromkeys(reasons)
    ]
