# SPDX-License-Identifier: GPL-2.0-only
"""No progress: kernel/watchdog*.c, kernel/hung_task.c, kernel/workqueue.c, kernel/rcu/."""

from mmrace.crash.formats.base import Format, Use, says, starts
from mmrace.crash.helpers import SKIP_BLOCKING, SKIP_TICKING
from mmrace.crash.kind import Kind

STALLS = (
    Format(
        Kind.SOFT_LOCKUP,
        says(r"(?P<text>BUG: soft lockup)(?: detected)?[.!]? ?-? ?(?:on )?CPU"),
        use=Use.LOOP,
        skip=SKIP_TICKING,
    ),
    Format(
        Kind.HARD_LOCKUP,
        says(
            r"(?P<text>Watchdog detected hard LOCKUP|NMI Watchdog detected LOCKUP"
            r"|Watchdog CPU:\d+ Hard LOCKUP"
            r"|watchdog: CPU \d+ (?:self-)?(?:detected )?[Hh]ard LOCKUP"
            r"|BUG: NMI Watchdog detected LOCKUP)"
        ),
        "Watchdog detected hard LOCKUP",
        Use.LOOP,
        SKIP_TICKING,
    ),
    Format(
        Kind.WORKQUEUE_LOCKUP, says(r"(?P<text>BUG: workqueue lockup)"), use=Use.NONE, stack=False
    ),
    Format(
        Kind.HUNG_TASK,
        says(
            r"INFO: task .{1,60}? (?P<text>blocked (?:in I/O wait )?for more than"
            r"|can't die for more than) \d+ seconds"
        ),
        "INFO: task hung",
        Use.WAIT,
        SKIP_BLOCKING,
    ),
    Format(  # a line feed in the task's name parts the header
        Kind.HUNG_TASK,
        starts(r".{0,20}?:\d+ (?P<text>blocked (?:in I/O wait )?for more than) \d+ seconds"),
        "INFO: task hung",
        Use.WAIT,
        SKIP_BLOCKING,
    ),
    Format(
        Kind.RCU_STALL,
        says(
            r"INFO: (?P<text>(?:rcu\w*|RCU) (?:self-)?detected (?:expedited )?stall(?!.*suppressed)"
            r"|RCU detected CPU \d+ stall|RCU detected CPU stalls)"
        ),
        "INFO: rcu detected stall",
        Use.LOOP,
        SKIP_TICKING,
        stack=False,
    ),
)
