# SPDX-License-Identifier: GPL-2.0-only
"""Reads a console part by part: which line begins a report, and which goes on with one."""

import re
from dataclasses import replace
from functools import lru_cache

from mmrace.crash import dmesg, prefix
from mmrace.crash.dmesg import Line
from mmrace.crash.formats import CONSEQUENCE, Format, Proof, Use
from mmrace.crash.formats.body import DULL
from mmrace.crash.header import NEAR, absorbs, announcement, next_trigger
from mmrace.crash.kind import DIE, PANICS, Kind
from mmrace.crash.message import HEADER, REGISTER_LINE, TRIGGER, Message, read_message
from mmrace.crash.report import Report
from mmrace.crash.summary import summarise
from mmrace.crash.values import Crash, Prelude

_BLOCK = 256 * 1024
_SOON = 64 * 1024  # bytes between a crash and the panic it leads to
_STALE = 256 * 1024  # bytes without a line of a report, after which it is over
_KEPT = 8192  # different messages whose reading is remembered
_CALLERS = 64  # of whom reports and preludes are kept at one time


@lru_cache(maxsize=_KEPT)
def _read(rest: bytes) -> Message | None:
    """Message behind printk's prefix; None where ``dmesg.split`` has to read the line."""
    text = dmesg.message(rest)
    return None if text is None else read_message(text)


class Parser:
    """Reads a console log in parts; how it is cut makes no difference. Memory is bounded.

    Crashes come in the order of their first bytes, once nothing can change them.
    """

    def __init__(self) -> None:
        self.closed = 0  # reports whose end has been read
        self._rest = b""  # of a line whose end has not come, at most MAX_LINE bytes
        self._offset = 0  # where it begins in the log
        self._length = 0  # its length so far
        self._held: Line | None = None  # as wide as a terminal: its rest may follow
        self._prefix: re.Pattern[str] | None = None  # of the log that the open reports came in
        self._open: dict[str, Report] = {}
        self._preludes: dict[str, list[Prelude]] = {}
        self._crashes: list[Crash] = []  # not given away yet
        self._last: Crash | None = None  # of those, what was closed last

    def feed(self, part: bytes) -> tuple[Crash, ...]:
        """Read the next part of the log; return crashes that nothing can change any more."""
        position = 0
        if self._length:
            newline = part.find(b"\n")
            if newline < 0:
                self._keep(part)
                return ()
            self._keep(part[: newline + 1])
            raw, start, length = self._rest, self._offset, self._length
            self._rest, self._offset, self._length = b"", start + length, 0
            self._raw(raw, start, start + length)
            position = newline + 1
        last = part.rfind(b"\n") + 1
        base = self._offset - position
        while position < last:
            cut = part.find(b"\n", min(position + _BLOCK, last - 1)) + 1
            self._block(part[position:cut], base + position)
            position = cut
        self._offset = base + position
        self._keep(part[position:])
        return self._finished_crashes()

    @property
    def waiting(self) -> tuple[Crash, ...]:
        """Crashes whose end has been read, and which an earlier report or a panic may change."""
        return tuple(self._crashes)

    @property
    def marked(self) -> tuple[Crash, ...]:
        """Crashes whose end marker has been read; a few lines of theirs may follow, or none."""
        open_ = self._open.values()
        return tuple(summarise(report) for report in open_ if report.tail and report.counts)

    def finish(self) -> tuple[Crash, ...]:
        """End of the log: the crashes that are left."""
        if self._length:
            self._raw(self._rest, self._offset, self._offset + self._length)
            self._offset, self._rest, self._length = self._offset + self._length, b"", 0
        if self._held:
            self._line(self._held)
            self._held = None
        for report in list(self._open.values()):
            report.log_ended()
        for caller in list(self._open):
            self._close(caller)
        self._last = None
        return self._finished_crashes()

    def _finished_crashes(self) -> tuple[Crash, ...]:
        """Return the crashes that precede every open report and that no panic can follow."""
        if not self._crashes:
            return ()
        if self._last and self._offset - self._last.end >= _SOON:
            self._last = None
        first = min((report.start for report in self._open.values()), default=self._offset + 1)
        if self._last:
            first = min(first, self._last.start)
        ready = [crash for crash in self._crashes if crash.start < first]
        if ready:
            self._crashes = [crash for crash in self._crashes if crash.start >= first]
        return tuple(sorted(ready, key=lambda crash: (crash.start, crash.end)))

    def _keep(self, part: bytes) -> None:
        self._rest += part[: dmesg.MAX_LINE - len(self._rest)]
        self._length += len(part)

    def _block(self, block: bytes, base: int) -> None:
        """Read whole lines; where no report is open only those that have a trigger word."""
        position = 0
        while position < len(block):
            if not self._open and not self._held:
                position = next_trigger(block, position)
            for match in dmesg.LINE.finditer(block, position):
                start, position = match.span()
                if self._prefix or not self._simple(match, base):
                    raw = block[start : min(position, start + dmesg.MAX_LINE)]
                    self._raw(raw, base + start, base + position)
                if not self._open and not self._held:
                    break

    def _simple(self, match: re.Match[bytes], base: int) -> bool:
        """Read a line with printk's prefix and nothing else of note; whether it was one.

        What ``_raw`` would do, but a multiple faster: most lines of most reports are such ones.
        """
        seconds, caller, rest = match.groups()
        if rest is None:
            return False
        rest = rest.rstrip(b"\r")
        start, end = match.span()
        name = caller.decode("ascii") if caller else ""
        report = self._open.get(name)
        dull = None if self._held else DULL.match(rest)
        if dull and (dull.lastgroup is None or (report and not report.tail)):
            if report and not report.take(REGISTER_LINE, base + end, float(seconds)):
                self._close(name)
            return True
        message = _read(rest)
        if message is None:
            return False
        length = match.start(3) - start + len(rest)
        if length > dmesg.MAX_LINE:
            return False
        if held := self._held:
            self._held = None
            self._line(held)
            report = self._open.get(name)
        full = length == dmesg.WIDTH and not message.dull
        if full or message.telling:
            line = Line(base + start, base + end, message.text, name, True, float(seconds), full)
            self._unwrap(line)
        elif report and not report.take(message, base + end, float(seconds)):
            self._close(name)
        return True

    def _raw(self, raw: bytes, start: int, end: int) -> None:
        for line in dmesg.split(raw, start, end):
            self._unwrap(line)

    def _unwrap(self, line: Line) -> None:
        """Join lines that a terminal wrapped; only a time stamp shows where a line begins."""
        held, self._held = self._held, None
        if held and not line.stamped and line.text:
            line = held._replace(text=held.text + line.text, end=line.end, full=line.full)
        elif held:
            self._line(held)
        if line.full and line.stamped:
            self._held = line
        else:
            self._line(line)

    def _line(self, line: Line) -> None:
        if self._prefix and (match := self._prefix.match(line.text)):
            line = line._replace(text=line.text[match.end() :], stamped=True)
        if TRIGGER.search(line.text[:HEADER]) and self._announces(line):
            return
        report = self._open.get(line.caller)
        few = 0 < len(self._open) < _CALLERS
        if report is None and few and line.text.startswith("NMI backtrace for cpu"):
            report = next((item for item in self._open.values() if item.kind.hang), None)
            if report:  # the other CPU's stack is what a stall is about
                self._open[line.caller] = report
        if report and not report.take(read_message(line.text), line.end, line.seconds):
            self._close(line.caller)

    def _announces(self, line: Line) -> bool:
        """Whether a line is a header or a prelude, and was dealt with as such."""
        found = announcement(line.text[:HEADER])
        if found is None:
            return False
        if found.harmless:
            return self._harmless(line)
        report = self._open.get(line.caller)
        if found.prelude:
            return self._prelude(line, *found.prelude, report)
        return self._headed(line, *found.header, report) if found.header else False

    def _harmless(self, line: Line) -> bool:
        """Deal with a trace of no failure: what was open before it is over, or torn by it."""
        report = self._open.get(line.caller)
        if report and report.counts and (report.inside or not (report.framed or report.tail)):
            report.mixed = report.mixed or not line.caller
        elif report:
            self._close(line.caller)
        return True

    def _headed(
        self, line: Line, form: Format, match: re.Match[str], report: Report | None
    ) -> bool:
        """Deal with a line that fits a header; False when it is only a line of the report."""
        if report and not report.tail and (form.proof is not Proof.NONE or form.headless):
            return False
        if report and absorbs(report, form, line):
            report.end, report.gap = line.end, 0
            if report.form.kind is Kind.OOPS and form.kind is not Kind.OOPS and form.kind in DIE:
                report.form, report.header, report.kind = form, match, form.kind
            return True
        if form.kind in PANICS and not report and self._follows(line):
            return True
        if report and report.inside and form.use is Use.NONE and form.kind not in PANICS:
            aside = Report(form, match, line.start, line.end, line.caller, form.kind)
            self._add(aside)  # one line of another event inside a trace
            return True
        self._begin(line, form, match)
        return True

    def _prelude(
        self,
        line: Line,
        kind: Kind | None,
        words: str,
        match: re.Match[str],
        report: Report | None,
    ) -> bool:
        if report and line.text.startswith("====") and report.kind.sanitizer and report.framed:
            report.end = line.end
            self._close(line.caller)
            return True
        groups = {name: value or "" for name, value in match.groupdict().items()}
        words = words.format_map(groups) or (
            "list corruption" if kind is Kind.LIST_CORRUPTION else ""
        )
        prelude = Prelude(kind, words.strip(), line.start, line.end)
        if report and kind and not report.framed and report.kind is Kind.WARNING:
            report.adopt(prelude)  # kernels before 4.x print it behind the header
            return False
        if report and report.kind in (Kind.BAD_PAGE_MAP, Kind.BAD_PAGE_STATE) and not report.framed:
            return False
        if report and report.form.announces and report.lines <= 1:
            return False
        if line.caller not in self._preludes and len(self._preludes) >= _CALLERS:
            self._preludes.clear()
        known = self._preludes.setdefault(line.caller, [])
        known[:] = [item for item in known if line.start - item.end < NEAR][-7:]
        known.append(prelude)
        if report and (report.tail or report.traced):
            self._close(line.caller)  # a new report begins here
            return True
        return report is None

    def _begin(self, line: Line, form: Format, match: re.Match[str]) -> None:
        near = [
            item
            for item in self._preludes.pop(line.caller, ())
            if 0 <= line.start - item.end < NEAR
        ]
        start = min([line.start, *(item.start for item in near)])
        if line.caller in self._open:
            self._close(line.caller)
        for caller in [name for name, item in self._open.items() if line.start - item.end > _STALE]:
            self._close(caller)
        if len(self._open) >= _CALLERS:
            self._close(next(iter(self._open)))
        if self._last:
            start = max(start, min(self._last.end, line.start))
        report = Report(form, match, start, line.end, line.caller, form.kind, line.stamped)
        for item in near:
            report.adopt(item)
        if not self._open or self._prefix is None:
            self._prefix = prefix.learn(line.text, match.start())
        self._open[line.caller] = report

    def _follows(self, line: Line) -> bool:
        """Whether a panic is the consequence of a crash before it, which then lasts till here."""
        if not CONSEQUENCE.search(line.text):
            return False
        if self._open:
            return any(report.counts for report in self._open.values())
        if not self.closed:
            return False
        if self._last and line.start - self._last.end < _SOON:
            longer = replace(self._last, end=line.end)
            self._crashes[self._crashes.index(self._last)] = self._last = longer
        return True

    def _close(self, caller: str) -> None:
        report = self._open.pop(caller, None)
        if report is None:
            return  # known by another CPU's name too, and closed
        for other in [name for name, item in self._open.items() if item is report]:
            del self._open[other]
        if report.counts:
            self._add(report)

    def _add(self, report: Report) -> None:
        self._last = summarise(report)
        self._crashes.append(self._last)
        self.closed += 1
