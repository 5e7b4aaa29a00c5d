# SPDX-License-Identifier: GPL-2.0-only
"""What the workload's exit codes and output mean, by the protocol of its kind."""

import re
from collections import Counter

from mmrace.definitions.race import FailsBy, Source, Tolerated
from mmrace.judging import ktap
from mmrace.judging.channel import Iteration, Result
from mmrace.judging.evidence import Case, Finding
from mmrace.outcome import Outcome

STRESSOR_BROKEN, STRESSOR_SKIP, SELFTEST_SKIP, NO_PROGRAM = 2, 4, 4, 127
TFAIL, TBROK, TWARN, TCONF = 1, 2, 4, 32  # LTP's include/tst_res_flags.h


def failure(case: Case, *, matched: bool) -> Finding | None:
    """A failure reported by the workload, by the protocol of its kind."""
    if not _may_fail(case):
        return None
    failed = next((item for item in case.channel.iterations if _failed(case, item)), None)
    if not failed and not case.channel.failures:
        return None
    if matched and not _output_signed(case):
        return None
    if case.channel.failures:
        first = case.channel.failures[0]
        return Finding(Outcome.FAIL, first.text, matched, case.second(first.offset))
    assert failed is not None  # noqa: S101
    title, offset = _first_complaint(case, failed)
    return Finding(Outcome.FAIL, title, matched, case.second(offset))


def _may_fail(case: Case) -> bool:
    """Whether a reported failure counts; a reproducer's counts only if the user chose that."""
    workload = case.evidence.workload
    return workload.source is not Source.REPRODUCER or FailsBy.EXIT in workload.execution.fails_by


def _output_signed(case: Case) -> bool:
    """Whether the workload's output shows the race's own failure."""
    only = [item for item in case.evidence.race.signature if not (item.title or item.report)]
    return any(case.output_matches(signature) for signature in only)


def _first_complaint(case: Case, failed: Iteration) -> tuple[str, int]:
    """Title of an iteration's failure, and its offset in the channel."""
    patterns = [item.output for item in case.evidence.race.signature if item.output]
    patterns += [r"\bTFAIL\b", r"\bERROR\b|\bnot ok\b|\[FAIL\]|[Ff]ailed|\bFAIL\b"]
    for pattern in patterns:
        for line in case.channel.output:
            if line.offset < failed.offset and re.search(pattern, line.text):
                return line.text.strip(), line.offset
    how = f"exit code {failed.exit_code}"
    if failed.exit_code is None:
        how = "not ok"
    elif failed.exit_code < 0:
        how = f"killed by signal {-failed.exit_code}"
    return f"{case.evidence.workload.name}: {how}", failed.offset


def tolerated(case: Case, item: Iteration) -> tuple[Tolerated, ...]:
    """The tolerated failures that explain an LTP iteration's failure; empty if any is unexplained.

    The test counts its own failures, so a lost line leaves one unexplained.
    """
    workload, code = case.evidence.workload, item.exit_code
    if workload.source is not Source.LTP or code is None or code < 0 or not code & TFAIL:
        return ()
    known = workload.tolerates(case.channel.release)
    if not known:
        return ()
    report = ktap.parse_ltp("\n".join(case.output_of(item)).encode())
    failures = [text for _, kind, text in report.results if kind == "TFAIL"]
    reasons = [next((one for one in known if re.search(one.output, t)), None) for t in failures]
    found = tuple(one for one in reasons if one)
    whole = len(found) == len(failures) == report.summary.get("failed")
    return tuple(dict.fromkeys(found)) if whole else ()


def _code(case: Case, item: Iteration) -> int | None:
    """The exit code of an iteration, without a tolerated failure."""
    code = item.exit_code
    return code & ~TFAIL if code and tolerated(case, item) else code


def _failed(case: Case, item: Iteration) -> bool:
    code = _code(case, item)
    if item.result is not Result.NOT_OK or code == NO_PROGRAM:
        return False
    if code is None or code < 0:
        return code is None or not _oom_killed(case, item)
    match case.evidence.workload.source:
        case Source.STRESSOR:
            return code == 1
        case Source.SELFTEST:
            return code not in (0, SELFTEST_SKIP)
        case Source.LTP:
            return bool(code & TFAIL)
        case Source.REPRODUCER:
            return code != 0 and not _skips(case, code)


def _skips(case: Case, code: int | None) -> bool:
    """Whether a test used as a reproducer says by its exit code that it cannot run here."""
    kind = case.evidence.workload.sources[0].partition(":")[0]
    return {"selftest": SELFTEST_SKIP, "ltp": TCONF}.get(kind) == code


_OOM = re.compile(rb"Out of memory: Kill(?:ed)? process (\d+) \(([^)\n]*)\)")


def _oom_killed(case: Case, item: Iteration) -> bool:
    return item.exit_code == -9 and bool(_OOM.search(case.evidence.console))


def unable(case: Case) -> Finding | None:
    """A workload that could not do its work."""
    source = case.evidence.workload.source
    for item in case.channel.iterations:
        code = _code(case, item)
        reason = ""
        if item.result is Result.SKIP:
            reason = f"it cannot run here (exit code {code})"
        elif item.result is Result.OK:
            continue
        elif source is not Source.REPRODUCER and _oom_killed(case, item):
            killed = _OOM.search(case.evidence.console)
            name = killed[2].decode(errors="replace") if killed else ""
            reason = f"the guest ran out of memory and killed {name}"
        elif code == NO_PROGRAM:
            reason = "its program could not be started"
        elif source is Source.REPRODUCER:
            if not _skips(case, code):
                continue  # any exit code is allowed
            reason = f"it cannot run here (exit code {code})"
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
        return Finding(Outcome.NOT_EXERCISED, notes=(note,))
    return None


def ends(case: Case) -> list[str]:
    """Notes on how a reproducer's executions ended, where to look, and what it lacked."""
    codes = [item.exit_code for item in case.channel.iterations if item.exit_code]
    notes = [
        f"the program ended with {_how(code)} in {count} of {len(case.channel.iterations)}"
        f" executions{_last_words(case)}"
        for code, count in Counter(codes).most_common(2)
    ]
    if not case.channel.iterations and case.channel.cut:
        notes.append("the program ran until its time was over")
    return notes + [f"the program missed: {thing}" for thing in case.channel.missed]


def _last_words(case: Case) -> str:
    words = next((line.text for line in reversed(case.channel.output) if line.text.strip()), "")
    return f"; its last words: {words.strip()}" if words else ""


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _why_broken(case: Case) -> str:
    reasons = [line.text for line in case.channel.output if line.text.startswith("broken: ")]
    return f": {reasons[-1][8:]}" if reasons else ""
