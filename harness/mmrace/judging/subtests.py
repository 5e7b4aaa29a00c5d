# SPDX-License-Identifier: GPL-2.0-only
"""KTAP inside a selftest's output, as the kernel tree's own tests print it: counted and named."""

from collections import Counter

from mmrace.definitions.race import Source
from mmrace.judging import ktap
from mmrace.judging.evidence import Case

_WORDS = {
    ktap.Result.PASS: "passed",
    ktap.Result.FAIL: "failed",
    ktap.Result.SKIP: "skipped",
    ktap.Result.EXPECTED: "failed as expected",
}


def speaks_ktap(case: Case) -> bool:
    """Whether the workload is a test of the kernel's tree, whose output may be KTAP."""
    workload = case.evidence.workload
    return workload.source is Source.SELFTEST or (
        workload.source is Source.REPRODUCER and workload.sources[0].startswith("selftest:")
    )


def remarks(case: Case) -> list[str]:
    """Notes on the results of subtests, over all iterations; empty without subtests."""
    if not speaks_ktap(case):
        return []
    counts: Counter[ktap.Result] = Counter()
    failed: list[str] = []
    lost = 0
    for item in case.channel.iterations:
        report = ktap.parse("\n".join(case.output_of(item)).encode())
        counts.update(sub.result for sub in report.top.subtests)
        failed += [sub.name for sub in report.top.subtests if sub.result is ktap.Result.FAIL]
        lost += len(report.top.missing)
    if not counts:
        return []
    parts = [f"{counts[result]} {word}" for result, word in _WORDS.items() if counts[result]]
    parts += [f"{lost} without a result"] if lost else []
    named = f"; failed: {', '.join(dict.fromkeys(failed))}" if failed else ""
    return [f"subtests: {', '.join(parts)}{named}"]
