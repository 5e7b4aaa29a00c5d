# SPDX-License-Identifier: GPL-2.0-only
"""One report while it is being read: its traces, and where it ends."""

import re
from dataclasses import dataclass, field

from mmrace.crash.backtrace import Frame, plain
from mmrace.crash.formats import Format, Proof
from mmrace.crash.formats.body import ACCESS
from mmrace.crash.kind import Kind
from mmrace.crash.message import Message
from mmrace.crash.trace import NOISE, SIDE, THREAD, Trace
from mmrace.crash.values import Prelude

_TRACES = 12  # kept of one report
_HEAD = 8  # frames by which another report's trace shows itself
_LINES = 3000  # after which a report is cut off


@dataclass(slots=True)
class Report:
    """A report that is still being read."""

    form: Format
    header: re.Match[str]
    start: int
    end: int
    caller: str
    kind: Kind
    stamped: bool = False
    prelude: str = ""  # its title
    traces: list[Trace] = field(default_factory=lambda: [Trace()])
    named: str = ""
    named_line: int = 0
    place_line: int = 0  # ended with "at:", so that the next one names the function
    access: str = ""
    awaited: bool = False  # form.after was not seen yet
    tail: bool = False  # behind the end marker
    mixed: bool = False
    cut: bool = False  # the log ended inside it
    pid: str = ""  # of the task that reports
    seconds: float = 0.0
    gap: int = 0
    lines: int = 0

    def __post_init__(self) -> None:
        """What comes before ``form.after`` is not the failure's own trace."""
        self.awaited = self.form.after is not None
        self.traces[0].own = not self.awaited

    def adopt(self, prelude: Prelude) -> None:
        """Take over what a prelude says, unless the header says more."""
        if prelude.kind and self.kind in (Kind.WARNING, Kind.BUG, Kind.VM_BUG_ON):
            self.kind, self.prelude = prelude.kind, prelude.title

    @property
    def framed(self) -> bool:
        """Whether it has its own call trace."""
        return any(trace.own and trace.frames for trace in self.traces)

    @property
    def pointed(self) -> bool:
        """Whether it says where the CPU was."""
        return any(trace.pointer for trace in self.traces)

    @property
    def traced(self) -> bool:
        """Whether its own call trace is over."""
        return self.framed and (self.traces[-1].over or not self.traces[-1].own)

    @property
    def inside(self) -> bool:
        """Whether more frames of its own call trace have to come."""
        last = self.traces[-1]
        return last.own and bool(last.frames) and not (last.over or last.ended or self.tail)

    @property
    def counts(self) -> bool:
        """Whether the header has shown what it has to."""
        match self.form.proof:
            case Proof.NONE:
                return True
            case Proof.STAMP:
                return self.stamped or self.framed
            case Proof.TRACE:
                return self.framed

    def take(self, message: Message, end: int, seconds: float) -> bool:
        """Read one more line, which ends at a byte of the log; False when it is none of these."""
        self.lines += 1
        if self.lines > _LINES:
            return False
        frame = message.frame
        if frame and not self.tail:
            self._append(frame, None)
        elif not (message.dull or frame or self._other(message)):
            self.gap += 1
            return self.gap <= self._patience()
        self.gap = 0
        self.end = end
        if seconds:  # a clock that goes back: lines of another CPU, which nothing parts
            if seconds < self.seconds and not self.caller and not self.kind.hang:
                self.mixed = True
            self.seconds = seconds
        return True

    def _other(self, message: Message) -> bool:
        """Read a line that is no frame; whether it belongs to a report."""
        if self.tail:
            return bool(message.pointer or message.tail)
        if self._trace(message) or message.body:
            self.tail = message.end
            return True
        return False

    def log_ended(self) -> None:
        """Note that no more lines come: a trace that was just announced is lost."""
        last = self.traces[-1]
        self.cut = bool(last.announced) and not last.frames and self.lines <= last.announced + 1

    def _patience(self) -> int:
        """Lines of others after which the report is taken to be over."""
        if self.tail:
            return 4
        if self.awaited:
            return 400
        if not self.framed:
            return 40 if self.form.proof is Proof.NONE else 8
        return 12 if self.traced and not self.kind.hang else 40

    def _trace(self, message: Message) -> bool:
        """Take a pointer or a name out of a line that is no frame; whether there was one."""
        if self.awaited and (after := self.form.after) and after.match(message.text):
            self.awaited = False
            self._turn(own=True)
            return True
        if message.pointer:
            self._append(None, message.pointer)
            return True
        self._note(message)
        self._see_turn(message)
        return False

    def _append(self, frame: Frame | None, pointer: Frame | None) -> None:
        trace = self.traces[-1]
        if frame and not self.named and self.place_line == self.lines - 1:
            self.named = frame.function
        if trace.over:
            self._turn(own=not (self.framed or self.awaited))
            trace = self.traces[-1]
        trace.noise = 0
        found = frame or pointer
        if pointer and not trace.frames:
            trace.pointer = trace.pointer or pointer
            if pointer.offset is not None and not trace.place:
                trace.place = pointer.function
        elif found:
            trace.add(found)
            if trace.own and len(trace.frames) < _HEAD and trace.foreign(bare=self.kind.hang):
                trace.own, self.mixed = False, True

    def _see_turn(self, message: Message) -> None:
        """See whether a line without a frame ends a trace or begins another one."""
        trace, text = self.traces[-1], message.text
        if message.foreign:
            self._turn(own=False)
            trace = self.traces[-1]
            trace.announced = 0 if "Showing " in text else self.lines
            trace.thread = bool(THREAD.match(text))
        elif self.kind is Kind.KCSAN and SIDE.match(text):
            self._turn(own=not self.framed)
        elif message.next:
            if (trace.frames or not trace.own) and not trace.heads(text):
                self._turn(own=not self.awaited and (self.kind.hang or not self.framed))
            self.traces[-1].announced = self.lines
        elif message.interrupt and trace.frames:
            trace.interrupt = len(trace.frames)
        elif trace.frames and not message.body:
            trace.noise += 1
            trace.over = trace.over or trace.noise > NOISE
        if message.over and (trace.frames or trace.announced):
            trace.over, trace.marked = bool(trace.frames), True

    def _turn(self, *, own: bool) -> None:
        """Begin another trace."""
        last = self.traces[-1]
        if last.frames or (last.pointer and not own):
            if len(self.traces) < _TRACES:
                self.traces.append(Trace(own))
            else:
                last.over = True
        else:
            last.own = own

    def _note(self, message: Message) -> None:
        if self.form.named:
            self._name(message.text)
        if self.kind is Kind.KASAN and not self.access and (access := ACCESS.match(message.text)):
            self.access = access[1]
        if message.pid and not self.form.kind.hang and not self.framed:
            self.mixed = self.mixed or bool(self.pid and self.pid != message.pid)
            self.pid = message.pid

    def _name(self, text: str) -> None:
        """Take the function out of a line that names it; a symbolised log says it once for each."""
        if match := self.form.named.match(text) if self.form.named else None:
            found = plain(next(value for value in match.groupdict().values() if value))
            inlined = self.lines == self.named_line + 1 and self.named in self.form.skip
            if not self.named or inlined:
                self.named, self.named_line = found, self.lines
        elif text.rstrip().endswith("at:") and "registered" not in text:
            self.place_line = self.lines
