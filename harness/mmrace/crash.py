# SPDX-License-Identifier: GPL-2.0-only
"""Reading a console: which failures a kernel reported, of what kind, where.

No side effects; linear in the input. Formats are data (``crash_formats``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mmrace import dmesg
from mmrace.backtrace import Frame, choose, parse_frame, parse_pointer, plain
from mmrace.crash_formats import (
    CONSEQUENCE,
    FORMATS,
    NOT_A_CRASH,
    PRELUDES,
    TRIGGERS,
    Format,
    Kind,
    Use,
)
from mmrace.dmesg import Line

__all__ = ["Crash", "Frame", "Kind", "Parser", "parse", "report_text"]

_BLOCK = 256 * 1024
_FRAMES = 100  # kept of one trace
_LINES = 3000  # after which a report is cut off
_NEAR = 4096  # bytes between a prelude and its header


@dataclass(frozen=True, slots=True)
class Crash:
    """One failure that a kernel reported.

    ``title``: kind in the kernel's words + " in " + ``function``; ``alt_titles`` are other names
    for the same. ``start`` and ``end``: bytes of the log. ``corrupted``: torn, mixed or too short
    to be trusted. ``caller`` is PRINTK_CALLER's id, ``""`` where it is off.
    """

    kind: Kind
    title: str
    alt_titles: tuple[str, ...]
    function: str
    start: int
    end: int
    corrupted: bool
    frames: tuple[Frame, ...]
    caller: str = ""


def parse(data: bytes) -> tuple[Crash, ...]:
    """Find all failures in a console log, in the order of their first bytes."""
    parser = Parser()
    parser.feed(data)
    return parser.finish()


def report_text(data: bytes, crash: Crash) -> str:
    """Report of one crash without prefixes and escapes, lines of other callers left out."""
    kept = []
    position = crash.start
    for raw in data[crash.start : crash.end].splitlines(keepends=True):
        for line in dmesg.split(raw, position):
            if not crash.caller or line.caller in ("", crash.caller):
                kept.append(line.text)
        position += len(raw)
    return "\n".join(kept)


_TRIGGER = re.compile("|".join(re.escape(word) for word in TRIGGERS))
_TRIGGER_BYTES = tuple(word.encode() for word in TRIGGERS)
# What may stand between the frames of one trace.
_INSIDE = re.compile(
    r"""\s*(?:
      </?[A-Z\#][A-Z0-9_]*>|={4,}|Call\ Trace:|Exception\ stack|---\ ?interrupt|---?\ <
    | (?:[RE]?IP|pc|lr|sp|Code|[RE]SP|[FCDE]S|[CD]R\d|PKRU|E[A-D]X|E[SD]I|EBP|R[A-Z0-9]{2}|x\d+\ ?)
      \s?:|-{3,}\ exception
    | (?:ORIG_RAX|pstate)\s?:|<[A-Z]+>|\[<[0-9a-f]+>\]|\?\ 0x|0x[0-9a-f]+$
    )""",
    re.VERBOSE,
)
_OVER = re.compile(r"\s*(?:</TASK>|Allocated |Freed |Last potentially|---\[)")
_BODY = re.compile(
    r"""\s*(?:
      Call\ [Tt]race|stack\ backtrace|[Bb]acktrace:|</?[A-Z\#]\w*>|[RE]?[IS]P\b|R\w\w:|E\w\w:
    | [FGCD]S:|CR\d|DR\d|PKRU|Code:|CPU:|Modules\ linked|Tainted|Hardware\ name|Workqueue:
    | Process\ |Stack:|Comm:|raw:|head:|flags:|page|addr:|file:|aops:|Read\ of|Write\ of
    | Allocated|Freed|The\ buggy|Memory\ state|[>\ ]?[0-9a-f]{8,16}:|\#\d+:|Object|Redzone
    | Padding|Slab|INFO:|FIX|note:|Kernel\ Offset|Kernel\ panic|Rebooting|---\[|task:|stack:
    | rcu:|\(detected|\(t=|NMI\ backtrace|Sending\ NMI|Showing\ all|\d+\ locks?\ held|[-=*]{5,}
    | ->|the\ exist|which\ lock|other\ info|Possible|CPU\d|\d+-|irq\ event
    | (?:hard|soft)irqs\ last|Last\ |Second\ to|Dumping\ ftrace|PGD|PUD|P4D|\#PF|Oops|Internal
    | Mem\ abort|Data\ abort|ESR|EC\ =|SET\ =|FSC|ISV|user\ pgtable|\[[0-9a-f]{8,16}\]|pstate
    | pc\ :|lr\ :|sp\ :|x\d|NIP|LR|GPR|MSR|XER|Krnl|epc|ra\ :|gp\ :|status|Thread\ overran
    | in_atomic|preempt_count|RCU\ nest|Preemption\ disabled|BUG|WARNING|KASAN
    | value\ |Reported\ by|read\ |write\ |comm\ |hex\ dump
    | [0-9a-f]{2}(?:\ [0-9a-f]{2}){3}|"echo|INFO|Not\ tainted|Uninit|Local\ variable|Bytes
    | Memory|index|shift|load|signed|left|fixed|not
    )""",
    re.VERBOSE,
)
_TAIL = re.compile(
    r"""\s*(?:
      [RE]?[IS]P\b|[RE]\w\w:|[FGCD]S:|CR\d|DR\d|PKRU|Code:|Modules\ linked|</?[A-Z\#]\w*>
    | Kernel\ Offset|Kernel\ panic|Rebooting|---\[|note:|Fixing\ recursive|Dumping\ ftrace|CPU:
    | Call\ [Tt]race|Shutting\ down|Disabling\ lock|Tainted
    )""",
    re.VERBOSE,
)
_CPU = re.compile(r"\s*CPU: (\d+) (?:UID: \d+ )?PID: (\d+)")
_ACCESS = re.compile(r"(Read|Write) of size \d+")
_DIE = frozenset(
    (Kind.OOPS, Kind.PAGE_FAULT, Kind.NULL_POINTER, Kind.GENERAL_PROTECTION, Kind.DOUBLE_FAULT,
     Kind.STACK_OVERFLOW, Kind.DIVIDE_ERROR, Kind.BUG)
)  # fmt: skip
_PANICS = frozenset((Kind.PANIC, Kind.LOST_INIT, Kind.OOM_PANIC))
_BARRED = frozenset((Kind.KASAN, Kind.KMSAN, Kind.KCSAN, Kind.KFENCE, Kind.UBSAN))


@dataclass
class _Prelude:
    kind: Kind | None
    title: str
    start: int
    end: int


@dataclass
class _Report:
    """A report that is still being read."""

    form: Format
    header: re.Match[str]
    start: int
    end: int
    caller: str
    kind: Kind
    said: str = ""  # a prelude's words
    pointer: Frame | None = None
    frames: list[Frame] = field(default_factory=list)
    spare: list[Frame] = field(default_factory=list)  # before the trace that counts
    named: str = ""
    access: str = ""
    awaited: bool = True  # form.trace_after was not seen yet
    traced: bool = False  # the trace that counts is over
    tail: bool = False  # behind the end marker
    panicked: bool = False
    mixed: bool = False
    cpu: str = ""
    gap: int = 0
    lines: int = 0

    def adopt(self, prelude: _Prelude) -> None:
        """Take over what a prelude says, unless the header says more."""
        if prelude.kind and self.kind in (Kind.WARNING, Kind.BUG, Kind.VM_BUG_ON):
            self.kind, self.said = prelude.kind, prelude.title

    def add(self, line: Line) -> bool:
        """Read one more line; False when it no longer belongs to the report."""
        self.lines += 1
        if self.lines > _LINES:
            return False
        known = _TAIL if self.tail else _BODY
        body = self._trace(line.text) or bool(known.match(line.text))
        if line.text.lstrip().startswith("---[ end"):
            self.tail = True
        if not body:
            self.gap += 1
            return self.gap <= self._patience()
        self.gap = 0
        self.end = line.end
        return True

    def _patience(self) -> int:
        if self.tail:
            return 4
        if self.form.trace_after and self.awaited:
            return 400
        return 12 if self.traced else 40

    def _trace(self, text: str) -> bool:
        """Take a frame, a pointer or a name out of a line; whether there was one."""
        if self.awaited and (after := self.form.trace_after) and after.match(text):
            self.awaited = False
            self.spare, self.frames = self.frames, []
            self.traced = False
            return True
        if self.tail:
            return parse_frame(text) is not None or parse_pointer(text) is not None
        if frame := parse_frame(text):
            if not self.traced and len(self.frames) < _FRAMES:
                self.frames.append(frame)
            return True
        if pointer := parse_pointer(text):
            if self.frames and not self.traced:
                self.frames.append(pointer)
            elif not self.frames:
                self.pointer = self.pointer or pointer
            return True
        self._note(text)
        if self.frames and not self.traced and (_OVER.match(text) or not _INSIDE.match(text)):
            self.traced = not (self.form.trace_after and self.awaited)
        return False

    def _note(self, text: str) -> None:
        if self.form.named and not self.named and (match := self.form.named.match(text)):
            self.named = next(value for value in match.groupdict().values() if value)
        if self.kind is Kind.KASAN and not self.access and (access := _ACCESS.match(text)):
            self.access = access[1]
        if not self.frames and not self.form.kind.hang and (match := _CPU.match(text)):
            self.mixed = self.mixed or bool(self.cpu and self.cpu != match[2])
            self.cpu = match[2]

    def crash(self) -> Crash:
        """Sum up."""
        frames = self.frames or self.spare
        first = self._first()
        if self.form.named and not first and self.spare:
            first = self.spare[0].function
        trusted = [frame.function for frame in frames if frame.reliable]
        names = trusted or [frame.function for frame in frames]
        candidates = [name for name in (first, *names) if name]
        function = "" if self.form.use is Use.NONE else choose(candidates, self.form.skip)
        other = self.header.groupdict().get("other")
        if self.form.kind is Kind.KCSAN and other:
            function = f"{candidates[0]} / {plain(other)}"
        titles = self._titles(function, candidates)
        lost = self.form.use is not Use.NONE and not function
        bare = self.form.stack and not frames and not self.pointer
        return Crash(
            self.kind, titles[0], tuple(titles[1:]), function, self.start, self.end,
            lost or bare or self.mixed, tuple(frames), self.caller,
        )  # fmt: skip

    def _first(self) -> str:
        if self.named:
            return self.named
        if self.form.use is Use.HEADER:
            return plain(self.header.groupdict().get("at") or "")
        if self.form.use is Use.POINTER and self.pointer:
            return self.pointer.function
        return ""

    def _titles(self, function: str, candidates: list[str]) -> list[str]:
        groups = {name: value or "" for name, value in self.header.groupdict().items()}
        words = self.form.title.format_map(groups).strip(" :.").replace("  ", " ")
        said = self.said if self.kind is not Kind.VM_BUG_ON else ""
        end = f" in {function}" if function else ""
        titles = [(said or words) + end]
        if said:
            titles.append(words + end)
        if self.kind is Kind.VM_BUG_ON:
            titles.append(self.said)
        if self.access:
            titles.append(f"{words} {self.access}{end}")
        if groups.get("file") and self.form.kind in (Kind.BUG, Kind.WARNING):
            titles.append(f"{words} at {groups['file']}")
        if self.form.use in (Use.POINTER, Use.HEADER) and candidates and candidates[0] != function:
            titles.append(f"{words} in {candidates[0]}")
        return list(dict.fromkeys(titles))


class Parser:
    """Reads a console log in parts; how it is cut makes no difference. Memory is bounded."""

    def __init__(self) -> None:
        self._rest = b""  # of a line whose end has not come, at most MAX_LINE bytes
        self._offset = 0  # where it begins in the log
        self._length = 0  # its length so far
        self._open: dict[str, _Report] = {}
        self._preludes: dict[str, list[_Prelude]] = {}
        self._crashes: list[Crash] = []

    def feed(self, part: bytes) -> None:
        """Read the next part of the log."""
        position = 0
        if self._length:
            newline = part.find(b"\n")
            if newline < 0:
                self._keep(part)
                return
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

    @property
    def complete(self) -> tuple[Crash, ...]:
        """Crashes whose end has been read, as yet."""
        return tuple(self._crashes)

    def finish(self) -> tuple[Crash, ...]:
        """End of the log: the crashes, ordered by their first byte."""
        if self._length:
            self._raw(self._rest, self._offset, self._offset + self._length)
            self._offset, self._rest, self._length = self._offset + self._length, b"", 0
        for caller in list(self._open):
            self._close(caller)
        return tuple(sorted(self._crashes, key=lambda crash: (crash.start, crash.end)))

    def _keep(self, part: bytes) -> None:
        self._rest += part[: dmesg.MAX_LINE - len(self._rest)]
        self._length += len(part)

    def _block(self, block: bytes, base: int) -> None:
        """Read whole lines; where no report is open only those that have a trigger word."""
        hits = _trigger_lines(block)
        position = 0
        while position < len(block):
            if not self._open:
                position = next((hit for hit in hits if hit >= position), len(block))
                if position == len(block):
                    return
            end = block.find(b"\n", position) + 1
            self._raw(
                block[position : min(end, position + dmesg.MAX_LINE)], base + position, base + end
            )
            position = end

    def _raw(self, raw: bytes, start: int, end: int) -> None:
        for line in dmesg.split(raw, start):
            self._line(line._replace(end=end))

    def _line(self, line: Line) -> None:
        if _TRIGGER.search(line.text) and self._announces(line):
            return
        report = self._open.get(line.caller)
        if report is None and self._open and line.text.startswith("NMI backtrace for cpu"):
            report = next((item for item in self._open.values() if item.kind.hang), None)
            if report:  # the other CPU's stack is what a stall is about
                self._open[line.caller] = report
        if report and not report.add(line):
            self._close(line.caller)

    def _announces(self, line: Line) -> bool:
        """Whether a line is a header or a prelude, and was dealt with as such."""
        if NOT_A_CRASH.match(line.text):
            return False
        report = self._open.get(line.caller)
        for kind, pattern, words in PRELUDES:
            if match := pattern.match(line.text):
                return self._prelude(line, kind, words, match, report)
        for form in FORMATS:
            if match := form.header.match(line.text):
                break
        else:
            return False
        if report and _absorbs(report, form, line.text):
            report.panicked = report.panicked or form.kind in _PANICS
            report.end, report.gap = line.end, 0
            if report.form.kind is Kind.OOPS and form.kind is not Kind.OOPS and form.kind in _DIE:
                report.form, report.header, report.kind = form, match, form.kind
            return True
        if form.kind in _PANICS and not report and self._follows(line):
            return True
        self._begin(line, form, match)
        return True

    def _prelude(
        self,
        line: Line,
        kind: Kind | None,
        words: str,
        match: re.Match[str],
        report: _Report | None,
    ) -> bool:
        if report and line.text.startswith("====") and report.kind in _BARRED and report.frames:
            report.end = line.end
            self._close(line.caller)
            return True
        groups = {name: value or "" for name, value in match.groupdict().items()}
        words = words.format_map(groups) or (
            "list corruption" if kind is Kind.LIST_CORRUPTION else ""
        )
        prelude = _Prelude(kind, words.strip(), line.start, line.end)
        if report and kind and not report.frames and report.kind is Kind.WARNING:
            report.adopt(prelude)  # kernels before 3.x print it behind the header
            return False
        if report and report.kind in (Kind.BAD_PAGE_MAP, Kind.BAD_PAGE_STATE) and not report.frames:
            return False
        known = self._preludes.setdefault(line.caller, [])
        known[:] = [item for item in known if line.start - item.end < _NEAR][-7:]
        known.append(prelude)
        if report and (report.tail or report.traced):
            self._close(line.caller)  # a new report begins here
            return True
        return report is None

    def _begin(self, line: Line, form: Format, match: re.Match[str]) -> None:
        near = [
            item
            for item in self._preludes.pop(line.caller, ())
            if 0 <= line.start - item.end < _NEAR
        ]
        start = min([line.start, *(item.start for item in near)])
        if line.caller in self._open:
            self._close(line.caller)
        if self._crashes:
            start = max(start, min(self._crashes[-1].end, line.start))
        report = _Report(form, match, start, line.end, line.caller, form.kind)
        report.awaited = form.trace_after is not None
        for item in near:
            report.adopt(item)
        self._open[line.caller] = report

    def _follows(self, line: Line) -> bool:
        """Whether a panic is the consequence of the crash before it, which then lasts till here."""
        if not self._crashes or not CONSEQUENCE.match(line.text):
            return False
        self._crashes[-1] = replace(self._crashes[-1], end=line.end)
        return True

    def _close(self, caller: str) -> None:
        report = self._open.pop(caller)
        for other in [name for name, item in self._open.items() if item is report]:
            del self._open[other]
        self._crashes.append(report.crash())


def _absorbs(report: _Report, form: Format, text: str) -> bool:
    """Whether a header inside an open report is part of that report."""
    if form.kind in _PANICS:
        return report.kind.fatal or not report.frames or bool(CONSEQUENCE.match(text))
    bare = not report.frames and not report.pointer
    if report.form.kind in _DIE and form.kind in _DIE:
        return bare
    if form.kind is Kind.MEMORY_LEAK:
        return report.kind is Kind.MEMORY_LEAK and bare
    return False


def _trigger_lines(block: bytes) -> Iterator[int]:
    """Offsets of the lines of a block that have a trigger word, in order."""
    found = set()
    for word in _TRIGGER_BYTES:
        position = block.find(word)
        while position >= 0:
            found.add(block.rfind(b"\n", 0, position) + 1)
            position = block.find(word, block.find(b"\n", position))
    return iter(sorted(found))
