# SPDX-License-Identifier: GPL-2.0-only
"""One report while it is being read: its traces, where it ends, what it amounts to."""

import re
from dataclasses import dataclass, field

from mmrace.crash.backtrace import Frame, parse_frame, parse_pointer, plain
from mmrace.crash.bystander import SKIP_TRACKING
from mmrace.crash.culprit import choose, choose_wait
from mmrace.crash.dmesg import Line
from mmrace.crash.formats import CONSEQUENCE, KIND_BY_FILE, Format, Proof, Use
from mmrace.crash.formats.body import ACCESS, BODY, CPU, TAIL
from mmrace.crash.kind import PANICS, Kind
from mmrace.crash.title import titles
from mmrace.crash.trace import (
    END,
    FOREIGN,
    FRAMES,
    IRQ_END,
    NEXT,
    NOISE,
    OVER,
    SIDE,
    Trace,
    inlined,
)
from mmrace.crash.values import Crash, Prelude

_SKIPS = {Kind.ODEBUG: SKIP_TRACKING}  # beside what the format skips
_TRACES = 12  # kept of one report
_LINES = 3000  # after which a report is cut off


@dataclass
class Report:
    """A report that is still being read."""

    form: Format
    header: re.Match[str]
    start: int
    end: int
    caller: str
    kind: Kind
    stamped: bool = False
    said: str = ""  # a prelude's words
    traces: list[Trace] = field(default_factory=lambda: [Trace()])
    named: str = ""
    named_line: int = 0
    access: str = ""
    awaited: bool = False  # form.after was not seen yet
    tail: bool = False  # behind the end marker
    mixed: bool = False
    cpu: str = ""
    seconds: float = 0.0
    gap: int = 0
    lines: int = 0

    def adopt(self, prelude: Prelude) -> None:
        """Take over what a prelude says, unless the header says more."""
        if prelude.kind and self.kind in (Kind.WARNING, Kind.BUG, Kind.VM_BUG_ON):
            self.kind, self.said = prelude.kind, prelude.title

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
    def counts(self) -> bool:
        """Whether the header has shown what it has to."""
        match self.form.proof:
            case Proof.NONE:
                return True
            case Proof.STAMP:
                return self.stamped or self.framed
            case Proof.TRACE:
                return self.framed

    def add(self, line: Line) -> bool:
        """Read one more line; False when it no longer belongs to the report."""
        self.lines += 1
        if self.lines > _LINES:
            return False
        known = TAIL if self.tail else BODY
        body = self._trace(line.text) or bool(known.match(line.text))
        if END.match(line.text):
            self.tail = True
        if not body:
            self.gap += 1
            return self.gap <= self._patience()
        self.gap = 0
        self.end = line.end
        self._clock(line)
        return True

    def _clock(self, line: Line) -> None:
        """A clock that goes back: another CPU's lines are among these, and nothing parts them."""
        if not self.caller and not self.kind.hang:
            self.mixed = self.mixed or 0 < line.seconds < self.seconds
        self.seconds = line.seconds or self.seconds

    def _patience(self) -> int:
        """Lines of others after which the report is taken to be over."""
        if self.tail:
            return 4
        if self.awaited:
            return 400
        if not self.framed:
            return 40 if self.form.proof is Proof.NONE else 8
        return 12 if self.traced and not self.kind.hang else 40

    def _trace(self, text: str) -> bool:
        """Take a frame, a pointer or a name out of a line; whether there was one."""
        if self.awaited and (after := self.form.after) and after.match(text):
            self.awaited = False
            self._turn(own=True)
            return True
        frame = parse_frame(text)
        pointer = None if frame else parse_pointer(text)
        if self.tail:
            return bool(frame or pointer)
        if frame or pointer:
            self._append(frame, pointer)
            return True
        self._note(text)
        self._turned(text)
        return False

    def _append(self, frame: Frame | None, pointer: Frame | None) -> None:
        trace = self.traces[-1]
        if self.form.named and self.awaited and not self.named and frame:
            self.named = frame.function
        if trace.over:
            self._turn(own=not self.framed)
            trace = self.traces[-1]
        trace.noise = 0
        found = frame or pointer
        if pointer and not trace.frames:
            trace.pointer = trace.pointer or pointer
        elif found and len(trace.frames) < FRAMES:
            trace.frames.append(found)

    def _turned(self, text: str) -> None:
        """See whether a line without a frame ends a trace or begins another one."""
        trace = self.traces[-1]
        if FOREIGN.match(text):
            self._turn(own=False)
        elif self.kind is Kind.KCSAN and SIDE.match(text):
            self._turn(own=not self.framed)
        elif NEXT.match(text):
            if trace.frames or not trace.own:
                self._turn(own=not self.awaited and (self.kind.hang or not self.framed))
        elif IRQ_END.match(text) and trace.frames:
            trace.interrupt = len(trace.frames)
        elif trace.frames and not BODY.match(text):
            trace.noise += 1
            trace.over = trace.over or trace.noise > NOISE
        if trace.frames and OVER.match(text):
            trace.over = True

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

    def _note(self, text: str) -> None:
        if self.form.named and (match := self.form.named.match(text)):
            found = next(value for value in match.groupdict().values() if value)
            inlined = self.lines == self.named_line + 1 and self.form.skip.match(self.named)
            if not self.named or inlined:  # a symbolised log says it once for each
                self.named, self.named_line = found, self.lines
        if self.kind is Kind.KASAN and not self.access and (access := ACCESS.match(text)):
            self.access = access[1]
        if not self.framed and not self.form.kind.hang and (match := CPU.match(text)):
            self.mixed = self.mixed or bool(self.cpu and self.cpu != match[2])
            self.cpu = match[2]

    def crash(self) -> Crash:
        """Sum up."""
        self._by_file()
        own = [trace for trace in self.traces if trace.own and (trace.frames or trace.pointer)]
        trace = own[0] if own else Trace()
        if self.form.use is Use.LOOP:
            trace = next((item for item in own if self._loop(item)), trace)
        if not trace.frames:
            spare = next((item for item in self.traces if item.frames), trace)
            trace = Trace(pointer=trace.pointer, frames=spare.frames)
        candidates = [name for name in (*self._first(trace), *trace.names) if name]
        skip = _SKIPS.get(self.kind, self.form.skip)
        function = self._function(trace, candidates, skip)
        first = candidates[0] if candidates else ""
        names = titles(
            self.form, self.header, self.kind, self.said, self.access, function, first
        )  # fmt: skip
        blamed = function and (self.form.use is Use.WAIT or not skip.match(function))
        lost = self.form.use is not Use.NONE and not blamed
        orphan = self.kind in PANICS and bool(CONSEQUENCE.search(self.header.string))
        bare = self.form.stack and not trace.frames and not trace.pointer
        return Crash(
            self.kind, names[0], names[1:], function, self.start, self.end,
            lost or bare or orphan or self.mixed, tuple(trace.frames), self.caller,
        )  # fmt: skip

    def _loop(self, trace: Trace) -> bool:
        name = trace.looping(self.form.skip)
        return bool(name) and not self.form.skip.match(name)

    def _by_file(self) -> None:
        file = self.header.groupdict().get("file") or ""
        if self.kind in (Kind.WARNING, Kind.BUG):
            found = (kind for pattern, kind in KIND_BY_FILE if pattern.search(file))
            self.kind = next(found, self.kind)

    def _function(self, trace: Trace, candidates: list[str], skip: re.Pattern[str]) -> str:
        other = self.header.groupdict().get("other")
        if self.form.use is Use.NONE:
            return ""
        if self.kind is Kind.KCSAN and other:
            return f"{plain(self.header['at'])} / {plain(other)}"
        if self.form.use is Use.LOOP:
            return trace.looping(skip)
        if self.form.use is Use.WAIT:
            return choose_wait(candidates, skip)
        return choose(candidates, skip)

    def _first(self, trace: Trace) -> list[str]:
        """Names that are better than the trace's, best first."""
        if self.named:
            return [self.named]
        pointer = [trace.pointer.function] if trace.pointer else []
        if self.form.use is Use.HEADER:
            at = plain(self.header.groupdict().get("at") or "")
            return [*inlined(trace, at), at] if at else pointer
        return pointer if self.form.use is Use.POINTER or not trace.frames else []
