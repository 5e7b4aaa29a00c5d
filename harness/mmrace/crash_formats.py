# SPDX-License-Identifier: GPL-2.0-only
"""How Linux, 2.6.32 to today, announces that something went wrong: a table.

Each format names the file of the kernel that prints it where that helps. ``header`` is matched at
the start of a cleaned line unless it begins with ``.*``. ``title`` may use the header's groups.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from mmrace.backtrace import SKIP, SKIP_PAGES, SKIP_TICKING, SKIP_WAITING


class Kind(StrEnum):
    """What kind of failure a report is about."""

    BUG = "kernel BUG"
    VM_BUG_ON = "VM_BUG_ON"
    OOPS = "oops"
    PAGE_FAULT = "page fault"
    NULL_POINTER = "NULL pointer dereference"
    GENERAL_PROTECTION = "general protection fault"
    DOUBLE_FAULT = "double fault"
    DIVIDE_ERROR = "divide error"
    STACK_OVERFLOW = "stack overflow"
    WARNING = "WARNING"
    LIST_CORRUPTION = "list corruption"
    BAD_PAGE_MAP = "Bad page map"
    BAD_PAGE_STATE = "Bad page state"
    BAD_RSS = "bad rss-counter"
    REFCOUNT = "refcount"
    KASAN = "KASAN"
    KMSAN = "KMSAN"
    KFENCE = "KFENCE"
    UBSAN = "UBSAN"
    KCSAN = "KCSAN"
    LOCKDEP = "lockdep"
    LOCK_BUG = "lock misuse"
    SLEEPING_IN_ATOMIC = "sleeping in atomic"
    RCU_STALL = "RCU stall"
    SOFT_LOCKUP = "soft lockup"
    HARD_LOCKUP = "hard lockup"
    WORKQUEUE_LOCKUP = "workqueue lockup"
    HUNG_TASK = "hung task"
    SLAB_CORRUPTION = "slab corruption"
    OOM_PANIC = "out-of-memory panic"
    MEMORY_LEAK = "memory leak"
    UNREGISTER_NETDEVICE = "unregister_netdevice"
    ODEBUG = "ODEBUG"
    PANIC = "panic"
    LOST_INIT = "lost init"

    @property
    def hang(self) -> bool:
        """Whether it says that something no longer makes progress."""
        return self in _HANGS

    @property
    def fatal(self) -> bool:
        """Whether the task or the machine does not go on after it."""
        return self in _FATAL


class Use(Enum):
    """Which function of a report matters."""

    NONE = auto()  # no function belongs to this kind
    TRACE = auto()  # first good frame of the call trace
    POINTER = auto()  # where the CPU was (RIP), then the trace
    HEADER = auto()  # named in the header, then the trace


@dataclass(frozen=True)
class Format:
    """One way to announce a failure.

    ``title`` gets " in FUNCTION" unless ``use`` is NONE. ``named``: a line of the report that
    names the function (group ``at``), better than the trace. ``trace_after``: frames before this
    line belong to something else. ``stack``: without frames the report was cut off.
    """

    kind: Kind
    header: re.Pattern[str]
    title: str
    use: Use = Use.TRACE
    skip: re.Pattern[str] = SKIP
    named: re.Pattern[str] | None = None
    trace_after: re.Pattern[str] | None = None
    stack: bool = True


_HANGS = frozenset(
    (Kind.RCU_STALL, Kind.SOFT_LOCKUP, Kind.HARD_LOCKUP, Kind.WORKQUEUE_LOCKUP, Kind.HUNG_TASK)
)
_FATAL = frozenset(
    (
        Kind.BUG,
        Kind.VM_BUG_ON,
        Kind.OOPS,
        Kind.PAGE_FAULT,
        Kind.NULL_POINTER,
        Kind.PANIC,
        Kind.GENERAL_PROTECTION,
        Kind.DOUBLE_FAULT,
        Kind.DIVIDE_ERROR,
        Kind.STACK_OVERFLOW,
        Kind.OOM_PANIC,
        Kind.LOST_INIT,
    )
)


def _re(text: str) -> re.Pattern[str]:
    return re.compile(text)


_BACKTRACE = _re(r"\s*(?:stack backtrace|Call Trace|Call trace|Backtrace):")
_CALL_TRACE = _re(r"\s*(?:Call Trace|Call trace|Backtrace):")
_LOCK_AT = _re(
    r"(?:\(.*\)(?:\{.*\})?(?:, )?\s*)?at: (?:\[<[0-9a-fx ]*>\] )?(?P"
    r"<at>[A-Za-z_][\w.]*)(?:\+0x|\s|$)"
    r"|.*\}, at: (?:\[<[0-9a-fx ]*>\] )?(?P<at2>[A-Za-z_][\w.]*)(?:"
    r"\+0x|\s|$)"
)
_DIE = r"(?P<oops>Oops: )?"
_NUMBER = r"(?::? ?[0-9a-f]{1,8})? ?\[#?\d+\]"


def _lockdep(text: str, *, at: bool = False) -> Format:
    """Format of one of lockdep's own reports; the words in front o" "f them changed in 4.11."""
    return Format(
        Kind.LOCKDEP,
        _re(r"(?:\[ )?(?P<word>INFO|WARNING|BUG|DEADLOCK)?:? ?(?P<text>" + text + r")"),
        "{word}: {text}",
        named=_LOCK_AT if at else None,
        trace_after=_BACKTRACE,
    )


FORMATS: tuple[Format, ...] = (
    # mm/kasan/report.c; before 4.11 "KASan" and words instead of hyphens
    Format(
        Kind.KASAN,
        _re(
            r".*BUG: KASAN: (?P<text>maybe wild-memory-access|[\w -]+?)(?: ("
            r"?:in|on|at) (?:address |addr )?(?P<at>[\w.$]+)?|$)"
        ),
        "KASAN: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.KASAN,
        _re(r".*BUG: KASan: (?P<text>[\w -]+?)(?: in (?P<at>[\w.$]+)| on )"),
        "KASAN: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.KMSAN,
        _re(r".*BUG: KMSAN: (?P<text>[\w-]+(?: [\w-]+)*?) in (?P<at>[\w.$]+)"),
        "KMSAN: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.KCSAN,
        _re(
            r".*BUG: KCSAN: (?P<text>[\w-]+) in (?P<at>[\w.$]+)(?:\+0x\S+)?("
            r"?: / (?P<other>[\w.$]+))?"
        ),
        "KCSAN: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.KFENCE,
        _re(r".*BUG: KFENCE: (?P<text>[\w-]+(?: [\w-]+)*?) in (?P<at>[\w.$]+" r")"),
        "KFENCE: {text}",
        Use.HEADER,
    ),
    # lib/ubsan.c
    Format(
        Kind.UBSAN, _re(r".*UBSAN: (?P<text>[\w-]+(?: [\w-]+)*?) in (?P<file>\S+)"), "UBSAN: {text}"
    ),
    # arch/x86/mm/fault.c, arch/*/mm/fault.c
    Format(
        Kind.NULL_POINTER,
        _re(
            r".*(?P<text>BUG: (?:kernel NULL pointer dereference|unable to h"
            r"andle kernel NULL pointer dereference|Kernel NULL pointer dere"
            r"ference(?: on (?:read|write))?))"
        ),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.PAGE_FAULT,
        _re(
            r".*(?P<text>BUG: (?:unable to handle (?:page fault|kernel pagin"
            r"g request|kernel)|Unable to handle (?:kernel [\w ]+?|unknown p"
            r"aging fault)(?= at|$)))"
        ),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.NULL_POINTER,
        _re(r".*(?P<text>Unable to handle kernel NULL pointer dereference)"),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.PAGE_FAULT,
        _re(
            r".*(?P<text>Unable to handle kernel (?:paging request|read from"
            r" unreadable memory|write to read-only memory|execute from non-"
            r"executable memory|access to user memory outside uaccess routin"
            r"es|execution of \w+ memory|pointer dereference in \w+ kernel a"
            r"ddress space|[\w -]+?(?= at)))"
        ),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        _re(r".*BUG: (?P<text>(?:\S+ )?stack guard page was hit)"),
        "BUG: {text}",
        Use.POINTER,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        _re(r"(?P<text>Insufficient stack space to handle exception!)"),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.STACK_OVERFLOW, _re(_DIE + r"(?P<text>kernel stack overflow)\b"), "{text}", Use.POINTER
    ),
    # arch/x86/kernel/traps.c, doublefault_32.c
    Format(Kind.DOUBLE_FAULT, _re(r".*(?P<text>PANIC: double fault)"), "{text}", Use.POINTER),
    Format(
        Kind.DOUBLE_FAULT, _re(_DIE + r"(?P<text>double fault)" + _NUMBER), "{text}", Use.POINTER
    ),
    Format(
        Kind.GENERAL_PROTECTION,
        _re(r".*?(?P<text>general protection fault)(?:, [\w -]+? 0x[0-9a-f]+" r")?" + _NUMBER),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.GENERAL_PROTECTION,
        _re(_DIE + r"(?P<text>general protection fault), (?:probably|maybe) for"),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.DIVIDE_ERROR, _re(_DIE + r"(?P<text>divide error)" + _NUMBER), "{text}", Use.POINTER
    ),
    # BUG() itself: lib/bug.c, and arch code on mips and riscv
    Format(
        Kind.BUG,
        _re(r".*?(?P<text>kernel BUG) at (?P<file>[\w./+-]+:\d+|0x[0-9a-f]+)"),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.BUG, _re(r"(?P<text>Kernel (?:BUG|bug detected)) ?\[#\d+\]"), "{text}", Use.POINTER
    ),
    # mm/memory.c, mm/page_alloc.c, kernel/fork.c, mm/filemap.c
    Format(Kind.BAD_PAGE_MAP, _re(r".*(?P<text>BUG: Bad page map) in process"), "{text}"),
    Format(
        Kind.BAD_PAGE_STATE,
        _re(r".*(?P<text>BUG: Bad page (?:state|cache)) in process"),
        "{text}",
        skip=SKIP_PAGES,
    ),
    Format(
        Kind.BAD_RSS,
        _re(r".*(?P<text>BUG: Bad rss-counter state) mm:"),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.BAD_RSS,
        _re(r".*(?P<text>BUG: non-zero (?:pgtables_bytes|nr_p[mtu]ds|nr_ptes" r") on freeing mm)"),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    # kernel/sched/core.c
    Format(
        Kind.SLEEPING_IN_ATOMIC,
        _re(r".*(?P<text>BUG: sleeping function called from invalid context)"),
        "{text}",
        skip=SKIP_WAITING,
    ),
    Format(
        Kind.SLEEPING_IN_ATOMIC,
        _re(
            r".*(?P<text>BUG: scheduling (?:while atomic|from the idle threa"
            r"d|in a non-blocking section))"
        ),
        "{text}",
        skip=SKIP_WAITING,
    ),
    # kernel/watchdog.c, kernel/workqueue.c, kernel/hung_task.c
    Format(
        Kind.SOFT_LOCKUP,
        _re(r".*(?P<text>BUG: soft lockup)(?: detected)? ?-? ?(?:on )?CPU"),
        "{text}",
        Use.POINTER,
        SKIP_TICKING,
    ),
    Format(
        Kind.HARD_LOCKUP,
        _re(
            r".*(?P<text>Watchdog detected hard LOCKUP|[Ww]atchdog: CPU \d+ "
            r"(?:self-detected )?hard LOCKUP|NMI Watchdog detected LOCKUP)"
        ),
        "{text}",
        Use.POINTER,
        SKIP_TICKING,
    ),
    Format(
        Kind.WORKQUEUE_LOCKUP,
        _re(r".*(?P<text>BUG: workqueue lockup)"),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.HUNG_TASK,
        _re(
            r"(?:.*: )?INFO: task .{1,40}? (?P<text>blocked (?:in I/O wait )"
            r"?for more than|can't die for more than) \d+ seconds"
        ),
        "INFO: task hung",
        skip=SKIP_WAITING,
    ),
    # kernel/rcu/tree_stall.h, tree_exp.h, tasks.h
    Format(
        Kind.RCU_STALL,
        _re(
            r".*?INFO: (?P<text>rcu\w* (?:self-)?detected (?:expedited )?sta"
            r"lls?(?: on CPUs?/?\w*)?|rcu_\w+ detected stalls on tasks)"
        ),
        "INFO: {text}",
        Use.POINTER,
        SKIP_TICKING,
        stack=False,
    ),
    # kernel/locking/lockdep.c
    _lockdep(r"possible circular locking dependency detected", at=True),
    _lockdep(r"possible recursive locking detected", at=True),
    _lockdep(r"possible irq lock inversion dependency detected", at=True),
    _lockdep(r"inconsistent (?:\{[^}]*\} -> \{[^}]*\} )?(?:lock state|usage)", at=True),
    _lockdep(
        r"(?:HARDIRQ|SOFTIRQ|RECLAIM_FS|\w+)-(?:READ-)?safe -> \S+-unsaf" r"e lock order detected",
        at=True,
    ),
    _lockdep(r"bad unlock balance detected", at=True),
    _lockdep(r"bad contention detected", at=True),
    _lockdep(r"held lock freed", at=False),
    _lockdep(r"Nested lock was not taken", at=True),
    _lockdep(r"lock held (?:when returning to user space|at task exit time)", at=True),
    _lockdep(r"chain_key collision"),
    _lockdep(r"suspicious RCU usage|suspicious rcu_dereference_check\(\) usag" r"e"),
    _lockdep(r"Invalid wait context", at=True),
    _lockdep(r"circular locking deadlock detected", at=False),
    Format(
        Kind.LOCKDEP,
        _re(r"(?:\[ )?(?P<word>WARNING|BUG): .{1,40}/\d+ (?P<text>still has " r"locks held)"),
        "{word}: {text}",
        trace_after=_BACKTRACE,
        named=_LOCK_AT,
    ),
    Format(Kind.LOCKDEP, _re(r".*(?P<text>INFO: trying to register non-static key)"), "{text}"),
    Format(
        Kind.LOCKDEP,
        _re(
            r".*(?P<text>BUG: (?:MAX_\w+ too low|key \S+ has not been regist"
            r"ered|looking up invalid subclass))"
        ),
        "{text}",
    ),
    # kernel/locking/spinlock_debug.c
    Format(
        Kind.LOCK_BUG,
        _re(r".*(?P<text>BUG: (?:spinlock|rwlock) (?P<what>[\w /]+?)) on CPU" r"#"),
        "{text}",
    ),
    # kernel/panic.c; file:line first in old kernels, "at f, CPU#n" in new ones
    Format(
        Kind.WARNING,
        _re(
            r".*?(?P<text>WARNING): CPU: \d+ PID: \d+ at (?P<file>\S+:\d+)?("
            r"?: (?P<at>[A-Za-z_][\w.$]*)\S*)?"
        ),
        "{text}",
        Use.HEADER,
    ),
    Format(
        Kind.WARNING,
        _re(
            r".*?(?P<text>WARNING): (?:(?P<file>\S+:\d+) )?at (?P<at>[A-Za-z"
            r"_][\w.$]*)\+0x\S+, CPU#"
        ),
        "{text}",
        Use.HEADER,
    ),
    Format(
        Kind.WARNING,
        _re(r".*?(?P<text>WARNING): at (?P<file>\S+:\d+)(?: (?P<at>[A-Za-z_]" r"[\w.$]*)\S*)?"),
        "{text}",
        Use.HEADER,
    ),
    # mm/slub.c, mm/slab.c
    Format(
        Kind.SLAB_CORRUPTION,
        _re(r"BUG (?P<cache>\S+) \((?:Not tainted|Tainted)[^)]*\)*: (?P<text" r">[\w ,/-]+)"),
        "BUG: {text}",
        trace_after=_CALL_TRACE,
    ),
    Format(
        Kind.SLAB_CORRUPTION,
        _re(
            r"(?P<text>[Ss]lab corruption)\b|slab error in |slab: (?P<other>"
            r"Internal list corruption)"
        ),
        "slab corruption",
    ),
    # mm/kmemleak.c
    Format(
        Kind.MEMORY_LEAK,
        _re(r"(?:BUG: memory leak|unreferenced object 0x[0-9a-f]+ \(size \d+" r"\))"),
        "memory leak",
    ),
    # net/core/dev.c
    Format(
        Kind.UNREGISTER_NETDEVICE,
        _re(r".*(?P<text>unregister_netdevice: waiting for) \S+ to become fr" r"ee"),
        "unregister_netdevice: waiting for device to become free",
        Use.NONE,
        stack=False,
    ),
    # kernel/panic.c, kernel/exit.c, mm/oom_kill.c
    Format(
        Kind.LOST_INIT,
        _re(
            r".*(?P<text>Kernel panic - not syncing: (?:Attempted to kill in"
            r"it|No (?:working )?init found|Requested init \S+ failed))"
        ),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.OOM_PANIC,
        _re(
            r".*(?P<text>Kernel panic - not syncing: (?:Out of memory\b[\w ,"
            r":-]*|System is deadlocked on memory))"
        ),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        _re(
            r".*(?P<text>Kernel panic - not syncing: (?:stack-protector: )?["
            r"Kk]ernel stack is corrupted) in: (?P<at>[A-Za-z_][\w.$]*)?"
        ),
        "{text}",
        Use.HEADER,
    ),
    Format(
        Kind.STACK_OVERFLOW,
        _re(
            r".*(?P<text>Kernel panic - not syncing: corrupted stack end det"
            r"ected inside scheduler)"
        ),
        "{text}",
        skip=SKIP_WAITING,
    ),
    Format(
        Kind.PANIC,
        _re(r".*(?P<text>Kernel panic - not syncing:? ?(?P<why>.*))"),
        "{text}",
        Use.NONE,
        stack=False,
    ),
    # any other trap: arch/*/kernel/traps.c, die()
    Format(
        Kind.OOPS,
        _re(r"(?:.*[a-z] )?(?P<text>Internal error: [\w -]+?)(?:: [0-9a-f]+)" r"? ?\[#\d+\]"),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.OOPS,
        _re(
            _DIE + r"(?P<text>invalid opcode|stack segment|int3|bounds|overflow|ali"
            r"gnment check|segment not present|invalid TSS|control protectio"
            r"n|coprocessor segment overrun|(?:fpu|simd) exception|Bad paget"
            r"able|machine check|spurious interrupt bug|trap \w+|unknown tra"
            r"p|Split lock|Virtualization [Ee]xception)" + _NUMBER
        ),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.OOPS,
        _re(
            r"(?:.*: )?(?P<text>Oops(?: - [\w -]+|: [A-Z][\w ]+?(?=, sig))?)"
            r"(?:: [\w-]+)*(?:, sig: \d+)?(?: ilc:\d)?(?: \w+:\d)? ?\[#?\d+"
            r"\]"
        ),
        "{text}",
        Use.POINTER,
    ),
    Format(
        Kind.OOPS,
        _re(
            r"(?P<text>Bad mode in [\w ]+? handler|Unhandled kernel unaligne"
            r"d access|Unexpected kernel (?:BRK|FPU|\w+) exception|unhandled"
            r" (?:fault|exception)[\w :]*?) ?(?:detected|\[#\d+\])"
        ),
        "{text}",
        Use.POINTER,
    ),
    # include/linux/*, lib/smp_processor_id.c, fs/dcache.c, ... : any other "BUG: "
    Format(
        Kind.BUG,
        _re(r"(?P<text>BUG: using \S+ in preemptible)"),
        "{text}",
        named=_re(r"caller is (?P<at>[A-Za-z_][\w.]*)"),
    ),
    Format(Kind.BUG, _re(r"(?:\w+: )?(?P<text>BUG: [A-Za-z][\w ,'-]{3,60})"), "{text}"),
)

# What comes just before a report's header and says more than the header does.
_VM_BUG = r"page dumped because: (?P<text>VM_(?:BUG|WARN)_ON\w*\(.*\))"
PRELUDES: tuple[tuple[Kind | None, re.Pattern[str], str], ...] = (
    (None, _re(r"-{8,}\[ cut here \]-{8,}"), ""),
    (None, _re(r"={20,}\s*$"), ""),
    (None, _re(r"page:\S+ (?:refcount|count):"), ""),
    (None, _re(r"page: refcount:\d+ mapcount:"), ""),
    (Kind.VM_BUG_ON, _re(_VM_BUG), "{text}"),
    (
        Kind.LIST_CORRUPTION,
        _re(
            r".*(?P<text>(?:list_(?:add|del)(?:_rcu)?|hlist_\w+|list|plist) "
            r"(?:double add|corruption))|.*?(?P<other>prev->next should be|n"
            r"ext->prev should be)"
        ),
        "{text}",
    ),
    (Kind.REFCOUNT, _re(r".*(?P<text>refcount_t: [\w -]+)"), "{text}"),
    (Kind.ODEBUG, _re(r".*(?P<text>ODEBUG: [\w ]+?) \(?(?:active|object|is)"), "{text}"),
)

# Headers that only look like one, each with who prints it.
NOT_A_CRASH = _re(
    r".*(?:messages suppressed"  # bad_page and print_bad_pte limit themselves
    r"|unexpected failures \(out of"  # lib/locking-selftest.c
    r"|BUG: arch topology borken"
    r"|BUG: not (?:creating|updating) mapping"
    r"|[Tt]he mand mount option"  # a banner in fs/namespace.c
    r"|INFO: Stall ended before state dump start"
    r"|INFO: lockdep is turned off"
    r"|but suppressed full report due to a stuck"
    r"|Command line:|BUG_ON_DATA_CORRUPTION|BUG: KASAN: .*\" ?[|>&])"
)

# A panic that another report brought about: kernel/panic.c, arch/*/kernel/traps.c, watchdogs.
CONSEQUENCE = _re(
    r".*Kernel panic - not syncing: ?(?:Fatal exception|.*panic_on_"
    r"\w+ set|.*\.panic set|hung_task|softlockup|RCU Stall"
    r"|Hard LOCKUP|.*[Hh]ard LOCKUP|Aiee, killing|.*: Fatal exceptio"
    r"n|Oops|BUG!|Oopsed too often|KASAN|UBSAN"
    r"|kernel: panic_on|kasan\.fault|Watchdog detected|Machine halte"
    r"d|system warned too often|.*warned too often|cannot return fro"
    r"m double)"
)

# Every header above, prelude and end has one of these words: all other lines are passed by.
TRIGGERS = (
    "BUG",
    "WARNING",
    "INFO: ",
    "anic",
    "PANIC",
    "[#",
    "UBSAN",
    "Unable to handle",
    "cut here",
    "======",
    "page:",
    "dumped because",
    "corruption",
    "should be",
    "refcount_t",
    "ODEBUG",
    "LOCKUP",
    "slab",
    "unreferenced object",
    "unregister_netdevice",
    "stack space",
    "detected",
    "inconsistent",
    "suspicious",
    "lock held",
    "lock freed",
    "Nested lock",
    "Invalid wait",
    "locks held",
    "Bad mode",
    "Unhandled",
    "unhandled",
    "general protection fault",
    "Oops",
    "Unexpected kernel",
)
