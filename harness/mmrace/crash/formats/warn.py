# SPDX-License-Identifier: GPL-2.0-only
"""WARN() and panic(): kernel/panic.c and who calls it; then whatever else calls itself a bug."""

from mmrace.crash.formats.base import AT, NAME, NUMBER, Format, Proof, Use, says, starts
from mmrace.crash.helpers import SKIP_WAITING
from mmrace.crash.kind import Kind

_WORDS = r"[A-Za-z][A-Za-z_'()-]+(?!\w)(?:,? [A-Za-z][A-Za-z_'()-]*(?!\w))*"  # no numbers
_PANIC = r"(?:Kernel panic - not syncing: ?)"

WARNINGS = (
    # file:line first in old kernels, "at f, CPU#n" since 6.18
    Format(
        Kind.WARNING,
        says(
            r"(?P<text>WARNING): CPU: \d+ PID: \d+ at (?P<file>[^\s:]+:\d+)?"
            rf"(?::?\s?(?P<at>{NAME})\S*)?"
        ),
        use=Use.HEADER,
    ),
    Format(
        Kind.WARNING,
        says(  # the condition since 6.19; no address where the trap has none to tell
            r"(?P<text>WARNING): (?:\[.*\] )?(?:(?P<file>[^\s:]+:\d+) )?"
            rf"at (?:(?P<at>{NAME})\+0x\S+|[^\s,]+), CPU#"
        ),
        use=Use.HEADER,
    ),
    Format(
        Kind.WARNING,
        says(rf"(?P<text>WARNING): at (?P<file>[^\s:]+:\d+)(?: (?P<at>{NAME})\S*)?"),
        use=Use.HEADER,
    ),
    Format(  # arch/x86/kernel/unwind_frame.c
        Kind.WARNING,
        says(
            r"(?P<text>WARNING: kernel stack (?:regs|frame pointer)) at +\S+ in .{1,40}? "
            r"has bad (?P<what>(?:'bp' )?value)"
        ),
        "{text} has bad {what}",
        Use.NONE,
        stack=False,
    ),
    Format(  # arch/x86/mm/extable.c
        Kind.WARNING,
        says(rf"(?P<text>unchecked MSR access error): .* at rIP: \S+ \({AT}"),
        use=Use.HEADER,
    ),
)

PANICS = (
    Format(
        Kind.LOST_INIT,
        says(
            rf"{_PANIC}(?P<text>Attempted to kill init|No (?:working )?init found"
            r"|Requested init \S+ failed)"
        ),
        "Kernel panic - not syncing: {text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.OOM_PANIC,
        says(
            rf"{_PANIC}(?P<text>[Oo]ut of memory\b[\w ,:-]*|System is deadlocked on memory"
            r"|System deadlocked on memory)"
        ),
        "Kernel panic - not syncing: {text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        says(
            rf"{_PANIC}(?:stack-protector: )?(?P<text>[Kk]ernel stack is corrupted)"
            rf" in: (?:[0-9a-f]+\b|{AT})?"
        ),
        "Kernel panic - not syncing: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        says(rf"{_PANIC}(?P<text>corrupted stack end) detected inside scheduler"),
        "Kernel panic - not syncing: {text}",
        Use.LOOP,  # which task came to schedule is chance
        SKIP_WAITING,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        says(rf"{_PANIC}(?P<text>[Kk]ernel stack overflow)"),
        "Kernel panic - not syncing: {text}",
    ),
    Format(
        Kind.HARD_LOCKUP,
        says(rf"{_PANIC}(?P<text>Watchdog detected hard LOCKUP)"),
        use=Use.LOOP,
    ),
    Format(
        Kind.PANIC,
        says(r"Kernel panic - not syncing:? ?(?P<text>.*)"),
        "Kernel panic - not syncing: {text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.PANIC,
        says(r"PANIC: (?P<text>early exception \w+)"),
        "Kernel panic - not syncing: {text}",
        Use.POINTER,
        stack=False,
    ),
    Format(  # another kernel on the same console
        Kind.PANIC,
        starts(r"(?:trusty: )?panic \(caller 0x[0-9a-f]+[^)]*\): (?P<text>.*)"),
        "panic: {text}",
        Use.NONE,
        stack=False,
    ),
    Format(  # User Mode Linux and early code print it bare
        Kind.PANIC,
        starts(r"(?P<text>Kernel panic)[,:] "),
        "kernel panic",
        Use.NONE,
        stack=False,
        proof=Proof.STAMP,
    ),
)

# Whatever else calls itself a bug: with a trace behind it, it is one.
OTHERS = (
    Format(  # cut off behind the word, which is printed apart from what follows
        Kind.BUG,
        starts(r"(?P<text>BUG):\s*$"),
        use=Use.NONE,
        proof=Proof.STAMP,
    ),
    Format(
        Kind.BUG,
        starts(rf"(?:[\w:.-]{{1,30}}: ){{0,2}}(?P<text>BUG: {_WORDS})"),
        proof=Proof.STAMP,
    ),
    Format(
        Kind.WARNING,
        starts(rf"(?:[\w:.-]{{1,30}}: ){{0,2}}(?P<text>(?:WARNING|INFO(?!: task\b)): {_WORDS})"),
        proof=Proof.TRACE,
    ),
    Format(Kind.OOPS, says(r"\b(?P<text>Oops)\b.{0,60}" + NUMBER), use=Use.POINTER),
)
