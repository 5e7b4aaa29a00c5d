# SPDX-License-Identifier: GPL-2.0-only
"""Counters of a run, parsed line by line: of PID 1, the workload, LTP's summary, KTAP results."""

import re

from mmrace.definitions.reproducer import FUNCTIONS
from mmrace.judging import ktap

_COUNT = re.compile(r"# count (\S+) (\d+)$")
_SAID_COUNT = re.compile(r"mmrace: count (\S+) (\d+)$")
_SUMMARY = re.compile(r"(passed|failed|broken|skipped)\s+(\d+)$")
_KTAP = {
    ktap.Result.PASS: "ktap:passed",
    ktap.Result.FAIL: "ktap:failed",
    ktap.Result.SKIP: "ktap:skipped",
}


class Counters:
    """Counters of a result channel that is still being read (docs/reference/result-channel.md).

    The workload's counters are absolute within an iteration and summed over iterations; PID 1's
    count since the start. ``iterations`` counts those that passed.
    """

    def __init__(self) -> None:
        """Start before the first line."""
        self._summed: dict[str, int] = {}  # summed over ended iterations
        self._latest: dict[str, int] = {}  # in the current iteration
        self._counted: dict[str, int] = {}  # counted by PID 1
        self._passed = 0
        self._in_summary = False

    def line(self, text: str) -> bool:
        """Parse a line of PID 1; return whether it is a counter."""
        match = _COUNT.match(text)
        if match:
            self._counted[match[1]] = int(match[2])
        return bool(match)

    def take(self, text: str) -> bool:
        """Parse an unquoted line of the workload's output; return whether it is a counter."""
        if match := _SAID_COUNT.match(text):
            self._latest[match[1]] = max(int(match[2]), self._latest.get(match[1], 0))
        elif text.strip() == "Summary:":
            self._in_summary = True
        elif self._in_summary and (match := _SUMMARY.match(text)):
            self._latest[f"ltp:{match[1]}"] = int(match[2])
        elif name := _ktap_counter(text):
            self._latest[name] = self._latest.get(name, 0) + 1
        else:
            self._in_summary = self._in_summary and text.startswith("warnings")
            return False
        return True

    def end_iteration(self, *, passed: bool) -> None:
        """Add the counters of an iteration that has ended."""
        for name, value in self._latest.items():
            self._summed[name] = self._summed.get(name, 0) + value
        self._latest = {}
        self._passed += passed
        self._in_summary = False

    def get(self, name: str) -> int:
        """Return one counter's current value; 0 for one that was never reported."""
        if name == "iterations":
            return self._passed
        if name == FUNCTIONS:
            return sum(n for probe, n in self._counted.items() if probe.startswith("probe:"))
        if name in self._counted:
            return self._counted[name]
        return self._summed.get(name, 0) + self._latest.get(name, 0)

    def as_dict(self) -> dict[str, int]:
        """Return the current values of all counters."""
        names = {*self._summed, *self._latest, *self._counted, "iterations"}
        return {name: self.get(name) for name in names}


def _ktap_counter(text: str) -> str | None:
    """Return the counter for a KTAP result at the outermost level, None for any other line."""
    if not text.startswith(("ok ", "not ok ")):
        return None
    found = ktap.parse(text.encode()).top.subtests
    return _KTAP.get(found[0].result) if found else None
