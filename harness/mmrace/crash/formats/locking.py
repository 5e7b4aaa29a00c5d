# SPDX-License-Identifier: GPL-2.0-only
"""lockdep, lock debugging, sleeping where one must not."""

import re

from mmrace.crash.formats.base import BACKTRACE, CALL_TRACE, NAME, Format, Use, says
from mmrace.crash.helpers import SKIP, SKIP_LOCKS, SKIP_RCU, SKIP_WAITING, Names
from mmrace.crash.kind import Kind

_ADDRESS = r"(?:\[<[0-9a-fx ]*>\] |<[0-9a-f]+> )?"
_LOCK_AT = re.compile(
    rf"(?:.*[)}}],?|#\d+:.*,|\s*\.+|\s*)\s*at: {_ADDRESS}(?P<at>{NAME})(?:\+0x|\s|$)"
    rf"|caller is (?P<at2>{NAME})"
)
# The words around a lockdep headline changed in 4.11: "[ INFO: x ]" became "WARNING: x".
_HEAD = r"(?:\[ )?\b(?P<word>INFO|WARNING|BUG|DEADLOCK): "


def _lockdep(text: str, *, at: bool = True, skip: Names = SKIP, stack: bool = True) -> Format:
    return Format(
        Kind.LOCKDEP,
        says(_HEAD + r"(?P<text>" + text + r")"),
        "{word}: {text}",
        skip=skip,
        stack=stack,
        named=_LOCK_AT if at else None,
        after=BACKTRACE,
    )


LOCKING = (
    # kernel/locking/lockdep.c
    _lockdep(r"possible circular locking dependency detected"),
    _lockdep(r"possible recursive locking detected"),
    _lockdep(r"possible reclaim recursion|possible irq lock inversion dependency detected"),
    _lockdep(r"inconsistent (?:\{[^}]{0,60}\} -> \{[^}]{0,60}\} )?(?:lock state|usage)"),
    _lockdep(r"[\w-]{1,20}?-(?:READ-)?safe -> \S+-unsafe lock order detected"),
    _lockdep(r"bad (?:unlock balance|contention) detected"),
    _lockdep(r"held lock freed"),
    _lockdep(r"[Nn]ested lock was not taken"),
    _lockdep(r"lock held when returning to user space", stack=False),
    _lockdep(r"lock held at task exit time"),
    _lockdep(r"chain_key collision", at=False),
    _lockdep(
        r"suspicious RCU usage|suspicious rcu_dereference_check\(\) usage", at=False, skip=SKIP_RCU
    ),
    _lockdep(r"[Ii]nvalid wait context"),
    _lockdep(r"circular locking deadlock detected", at=False),
    _lockdep(r"\S.{0,40}/\d+ still has locks held"),
    Format(
        Kind.LOCKDEP, says(r"(?P<text>INFO: trying to register non-static key)"), skip=SKIP_LOCKS
    ),
    Format(
        Kind.LOCKDEP,
        says(
            r"(?P<text>BUG: (?:MAX_(?:LOCK|STACK)\w+ too low|key \S+ (?:has not been registered"
            r"|not in \.data)|looking up invalid subclass))"
        ),
    ),
    # kernel/locking/spinlock_debug.c, kernel/locking/rtmutex.c, kernel/workqueue.c
    Format(Kind.LOCK_BUG, says(r"(?P<text>BUG: (?:spinlock|rwlock) [a-z][\w /]*?),? on CPU#")),
    Format(
        Kind.LOCK_BUG,
        says(r"(?P<text>BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU))"),
        named=re.compile(rf"\s*last function: (?P<at>{NAME})"),
    ),
    # kernel/sched/core.c, lib/smp_processor_id.c
    Format(
        Kind.SLEEPING_IN_ATOMIC,
        says(r"(?P<text>BUG: sleeping function called from (?:invalid|illegal) context)"),
        skip=SKIP_WAITING,
    ),
    Format(
        Kind.SLEEPING_IN_ATOMIC,
        says(
            r"(?P<text>BUG: scheduling (?:while atomic|from the idle thread"
            r"|in a non-blocking section)|BUG: assuming \w+(?: \w+)? context)"
        ),
        skip=SKIP_WAITING,
    ),
    Format(
        Kind.BUG,
        says(r"(?P<text>BUG: using \w+(?:\(\))?) in preemptible"),
        "{text} in preemptible code",
        named=re.compile(rf"\s*caller is (?P<at>{NAME})"),
        after=CALL_TRACE,
        use=Use.TRACE,
    ),
)
