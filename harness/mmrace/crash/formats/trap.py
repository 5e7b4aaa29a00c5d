# SPDX-License-Identifier: GPL-2.0-only
"""BUG(), faults and traps of all architectures: arch/*/kernel/traps.c, arch/*/mm/fault.c."""

from mmrace.crash.formats.base import NUMBER, Format, Use, says, starts
from mmrace.crash.kind import Kind

_DIE = r"(?:.*?: |.*?\] )?(?:Oops: )?"
_UNABLE = r"[Uu]nable to handle (?:kernel )?"

TRAPS = (
    Format(
        Kind.NULL_POINTER,
        says(
            r"(?P<text>BUG: (?:kernel NULL pointer dereference"
            r"|[Uu]nable to handle kernel NULL pointer dereference"
            r"|Kernel NULL pointer dereference(?: on (?:read|write))?))"
        ),
        use=Use.POINTER,
    ),
    Format(
        Kind.PAGE_FAULT,
        says(
            r"(?P<text>BUG: [Uu]nable to handle (?:page fault|kernel paging request"
            r"|kernel data access(?: on (?:read|write))?|kernel instruction fetch"
            r"|kernel unaligned access"
            r"|unknown (?:paging )?fault|kernel))\b"
        ),
        use=Use.POINTER,
    ),
    Format(
        Kind.NULL_POINTER,
        says(rf"(?P<text>{_UNABLE}NULL pointer dereference)"),
        "Unable to handle kernel NULL pointer dereference",
        Use.POINTER,
    ),
    Format(
        Kind.PAGE_FAULT,
        says(
            rf"(?P<text>{_UNABLE}(?:paging request|read from unreadable memory"
            r"|write to read-only memory|execut\w+ (?:from|of) [\w-]+ memory"
            r"|access to user memory outside uaccess routines|access at virtual address"
            r"|access to kernel memory without \w+"
            r"|pointer dereference(?: in \w+ kernel address space)?"
            r"|[a-z][\w -]{1,60}?(?= at(?: virtual)? address))|Unable to handle paging request)"
        ),
        use=Use.POINTER,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        says(r"BUG: (?P<text>(?:\S+ )?stack guard page was hit)"),
        "BUG: {text}",
        Use.LOOP,  # where the stack came to its end is chance
    ),
    Format(
        Kind.STACK_OVERFLOW,
        says(
            r"(?P<text>Insufficient stack space to handle exception!|[Kk]ernel stack overflow"
            r"|do_IRQ: stack overflow|Thread overran stack, or stack corrupted)"
        ),
        use=Use.LOOP,
    ),
    Format(Kind.DOUBLE_FAULT, says(r"(?P<text>PANIC: double fault)"), use=Use.POINTER),
    Format(Kind.DOUBLE_FAULT, starts(_DIE + r"(?P<text>double fault)" + NUMBER), use=Use.POINTER),
    Format(
        Kind.GENERAL_PROTECTION,
        says(r"(?P<text>general protection fault)(?:,? [\w -]{1,60}? 0x[0-9a-f]+)?" + NUMBER),
        use=Use.POINTER,
    ),
    Format(
        Kind.GENERAL_PROTECTION,
        starts(_DIE + r"(?P<text>general protection fault), (?:probably|maybe) for"),
        use=Use.POINTER,
    ),
    Format(
        Kind.DIVIDE_ERROR,
        says(r"(?P<text>divide error|Kernel divide by zero\.?)" + NUMBER),
        use=Use.POINTER,
    ),
    Format(  # x86 before 2.6.30
        Kind.DIVIDE_ERROR,
        says(r"(?P<text>divide_error)" + NUMBER),
        "divide error",
        Use.POINTER,
    ),
    # lib/bug.c, and arch code where BUG() is a trap of its own
    Format(
        Kind.BUG,
        says(r"(?P<text>kernel BUG) at (?P<file>[\w./+-]+:\d+|0x[0-9a-f]+|\[verbose)"),
        use=Use.POINTER,
    ),
    Format(
        Kind.BUG,
        says(
            r"(?P<text>Kernel BUG|[Kk]ernel bug detected|Oops - BUG|monitor event)"
            r"(?:: \w+)?(?: ilc:\d)? ?\[#\d+\]"
        ),
        "kernel BUG",
        Use.POINTER,
    ),
    Format(Kind.BUG, says(r"(?P<text>Kernel BUG at \S+)"), "kernel BUG", Use.POINTER),
)

# Any other trap.
OOPSES = (
    Format(
        Kind.OOPS,
        says(r"(?P<text>Internal error: [\w /-]{0,60}?)(?:: [0-9a-f]+)? ?\[#\d+\]"),
        use=Use.POINTER,
    ),
    Format(  # kernels before 2.6 did not count
        Kind.OOPS,
        starts(r"(?P<text>Oops(?:: [A-Za-z][\w ]+?(?=, sig: \d+\s*$)|(?=: [0-9a-f]{4,8}\s*$)))"),
        use=Use.POINTER,
    ),
    Format(  # alpha
        Kind.OOPS, starts(r"\S.{0,15}\(\d+\): (?P<text>Oops) -?\d+\s*$"), use=Use.POINTER
    ),
    Format(  # parisc
        Kind.OOPS, says(r"(?P<text>Kernel Fault): Code=\d+"), use=Use.POINTER
    ),
    Format(  # arm64
        Kind.OOPS, says(r"(?P<text>SError Interrupt) on CPU\d+, code"), use=Use.POINTER
    ),
    Format(  # x86 since 6.10
        Kind.OOPS,
        says(r"\bOops: (?P<text>[a-z][\w -]{1,60}?): [0-9a-f]{4} ?\[#\d+\]"),
        use=Use.POINTER,
    ),
    Format(
        Kind.OOPS,
        says(
            r"\b(?P<text>Oops(?: - [\w -]{1,60}|: [A-Z][\w ]{1,60}?(?=, sig))?)"
            r"(?:(?:: |\()[\w-]+\)?){0,4}(?:, sig: \d+)?(?: ilc:\d)?(?: \w+:\d)?:? ?\[#?\d+\]"
        ),
        use=Use.POINTER,
    ),
    Format(
        Kind.OOPS,
        says(
            r"(?P<text>Bad mode in [\w ]+? handler detected|Unhandled prefetch abort"
            r"|Unhandled \d\d-bit el1\w+ \w+ exception(?= on CPU)"
            r"|Unhandled fault: [\w -]+?(?= \(| at)|Unexpected kernel \w+ exception"
            r"|[Uu]nexpected (?:interruption|\w+ exception) in kernel)"
        ),
        use=Use.POINTER,
    ),
    Format(  # whatever the trap is called, the count of die() stands behind it
        Kind.OOPS,
        starts(
            r"(?:[\w./-]+\(\d+\): |\[[^]]*\] )?(?P<text>[A-Za-z#][\w /'?!.-]{2,50}?)"
            r"(?:(?::? |:)(?:0x)?[0-9a-f]{1,16})?(?: ilc:\d)? ?\[#\d+\](?::?\s*$|:?\s+[A-Z])"
        ),
        use=Use.POINTER,
    ),
)
