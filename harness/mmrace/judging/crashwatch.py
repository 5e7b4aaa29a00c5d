# SPDX-License-Identifier: GPL-2.0-only
"""Watches the output of a running guest, each byte once, for its race's own crash.

It serves to end runs early; the outcome is decided by the judge alone.
"""

from collections.abc import Iterable
from dataclasses import replace

from mmrace.crash import Crash, Parser
from mmrace.definitions.race import Race
from mmrace.judging.channel import Reader
from mmrace.judging.evidence import Evidence
from mmrace.judging.signature import in_output, in_report


class CrashWatch:
    """Follows console and result channel of one run.

    A crash counts as it does for the judge: one before the workload's start counts only if the
    kernel did not survive it. Words of a signature are searched line by line.
    """

    def __init__(self, race: Race) -> None:
        self._signatures = race.signature
        self._parser = Parser()
        self._settled: list[Crash] = []
        self._closed: set[tuple[int, str]] = set()
        self._console = bytearray()
        self._begun: int | None = None  # console offset at the workload's start
        self._seen: set[int] = set()  # signatures that a crash matches by title and report
        self._shown: set[int] = set()  # the same for crashes that count
        self._in_output = {n for n, item in enumerate(self._signatures) if not item.output}

    @property
    def own(self) -> bool:
        """Whether the console has the race's own crash, complete."""
        return bool(self._shown & self._in_output)

    def line(self, text: str) -> None:
        """Take a whole line of the result channel."""
        if self._begun is None and text.startswith("# start"):
            self._begun = len(self._console)
        if len(self._in_output) == len(self._signatures) or not text.startswith("# out "):
            return
        reader = Reader()
        reader.line(text, 0)
        for line in reader.output:
            self._in_output |= {
                number for number, item in enumerate(self._signatures) if in_output(item, line.text)
            }

    def console(self, data: bytes) -> tuple[Crash, ...]:
        """Take the next bytes of the console; return the crashes that are complete with them."""
        self._console += data
        before = self._parser.closed
        settled = self._parser.feed(data)
        self._settled += settled
        self._look(self._parser.marked)
        if self._parser.closed == before:
            return ()
        known = self._closed
        ended = (*settled, *self._parser.waiting)
        closed = tuple(crash for crash in ended if (crash.start, crash.caller) not in known)
        known |= {(crash.start, crash.caller) for crash in closed}
        self._look(closed)
        return closed

    def read(self, evidence: Evidence) -> Evidence:
        """Return the evidence of an ended run, with the crashes found here.

        Unchanged if its console is not the one that was watched.
        """
        if self._console != evidence.console:
            return evidence
        left = self._parser.finish()
        self._look(left)
        crashes = (*self._settled, *left)
        return replace(evidence, crashes=crashes, shown=frozenset(self._seen))

    def _look(self, crashes: Iterable[Crash]) -> None:
        """Match crashes against the signatures that are still unmatched."""
        for crash in crashes:
            early = self._begun is None or crash.start < self._begun
            found = self._shown if crash.kind.fatal or not early else self._seen
            for number, signature in enumerate(self._signatures):
                if number not in found and in_report(signature, crash, self._console):
                    self._seen.add(number)
                    found.add(number)
