# SPDX-License-Identifier: GPL-2.0-only
"""What stands around reports: before a header, after one, or where only a header was expected."""

import re

from mmrace.crash.kind import Kind

# What comes just before a report's header and says more than the header does.
PRELUDES: tuple[tuple[Kind | None, re.Pattern[str], str], ...] = (
    (None, re.compile(r"-{8,}\[ cut here \]-{8,}"), ""),
    (None, re.compile(r"\A={20,}\s*$"), ""),
    (None, re.compile(r"\Apage:\S+ (?:refcount|count):"), ""),
    (None, re.compile(r"\Apage: refcount:\d+ mapcount:"), ""),
    (
        Kind.VM_BUG_ON,
        re.compile(r"page dumped because: (?P<text>VM_(?:BUG|WARN)_ON\w*\(.*\))"),
        "{text}",
    ),
    (
        Kind.LIST_CORRUPTION,
        re.compile(
            r"(?P<text>(?:list_(?:add|del)(?:_rcu)?|hlist_\w+|list|plist) "
            r"(?:double add|corruption))|(?:prev->next should be|next->prev should be)"
        ),
        "{text}",
    ),
    (Kind.REFCOUNT, re.compile(r"(?P<text>refcount_t: [\w -]+)"), "{text}"),
    (Kind.ODEBUG, re.compile(r"(?P<text>ODEBUG: \w+ [\w ]+?)(?= \(active| object)"), "{text}"),
)

# What a line has to have before it is worth comparing with those.
PRELUDE = re.compile(r"cut here|={20}|\Apage:|dumped because|list|prev->|next->|refcount_t|ODEBUG")

# Where a WARNING or BUG in this file is of a kind that the line before it would have said.
KIND_BY_FILE = (
    (re.compile(r"\blib/list_debug\.c\b"), Kind.LIST_CORRUPTION),
    (re.compile(r"\blib/refcount\.c\b"), Kind.REFCOUNT),
    (re.compile(r"\blib/debugobjects\.c\b"), Kind.ODEBUG),
)

# Lines that look like a header, each with the function that prints it.
NOT_A_CRASH = re.compile(
    # quoted, as in a command that looks for it
    r"(?:[\"'`](?:.{0,40}\|)?(?:Kernel panic|kernel BUG|BUG:|WARNING:|INFO:|Oops|general pro)"
    r"|messages suppressed"  # bad_page and print_bad_pte limit themselves
    r"|unexpected failures \(out of"  # lib/locking-selftest.c
    r"|BUG: arch topology borken"
    r"|BUG: not (?:creating|updating) mapping"
    r"|BUG: recent printk recursion"
    r"|[Tt]he mand mount option"  # a banner in fs/namespace.c
    r"|INFO: (?:Stall ended|lockdep is turned off|NMI handler|recovery|RTNL: )"
    r"|INFO: (?:Allocated|Freed|Slab|Object|0x|[Oo]bject )"  # parts of SLUB's reports
    r"|but suppressed full report due to a stuck"
    r"|[Cc]ommand line:|Kernel command line|BUG_ON_DATA_CORRUPTION"
    r"|kasan: bad access detected"  # a part of KASAN's report up to 4.7
    r"|BUG: KASAN: .*\" ?[|>&])"
)

# A panic that another report brought about: kernel/panic.c, arch/*/kernel/traps.c, watchdogs.
CONSEQUENCE = re.compile(
    r"Kernel panic - not syncing:? ?(?:Fatal exception|.*panic_on_\w+ set|.*\.panic set"
    r"|hung_task|softlockup|RCU Stall|(?:Watchdog detected )?[Hh]ard LOCKUP|Aiee, killing"
    r"|.*: Fatal exception|Oops|BUG!|Oopsed too often|KASAN|UBSAN|kernel: panic_on|kasan\.fault"
    r"|Machine halted|.*warned too often|cannot return from double"
    r"|Fatal (?:hardware )?error|Unrecoverable)"
)

# Reports with a call trace about something that is no failure of the kernel.
HARMLESS = re.compile(
    r"(?:FAULT_INJECTION: forcing a failure|page allocation (?:failure|stalls for)"
    r"|invoked oom-killer|(?:sysrq|SysRq) ?: )"
)

# Every header, prelude and end has one of these words: all other lines are passed by.
TRIGGERS = (
    "BUG",
    "WARNING",
    "INFO: ",
    "anic",
    "PANIC",
    "[#",
    "UBSAN",
    "nable to handle",
    "cut here",
    "======",
    "page:",
    "dumped because",
    "corruption",
    "should be",
    "refcount_t",
    "ODEBUG",
    "LOCKUP",
    "slab error",
    "slab: ",
    "unreferenced object",
    "unregister_netdevice",
    "VFS: ",
    "Dentry",
    "blocked for",
    "Redzone",
    "Object ",
    "Padding ",
    "bad_page",
    "print_bad_",
    "stack space",
    "stack overflow",
    "overran stack",
    "Bad page state",
    "Bad mode",
    "Unhandled",
    "nexpected",
    "Kernel B",
    "Kernel Fault",
    "SError Interrupt on",
    "unchecked MSR",
    "general protection fault",
    "Oops",
    "Internal error",
    "FAULT_INJECTION",
    "page allocation",
    "oom-killer",
    "ysrq",
    "ysRq",
)
