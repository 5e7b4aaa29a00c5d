# SPDX-License-Identifier: GPL-2.0-only
"""Functions in call traces that are not to blame: families of names, each with a reason."""

from mmrace.crash.helpers import dispatch, locking, memory, objects, plumbing
from mmrace.crash.helpers.names import Family, Names

__all__ = [
    "DISPATCHES",
    "ENTRIES",
    "FAULTS",
    "GENERAL",
    "IDLE",
    "INJECTED",
    "PLUMBING",
    "SHARED",
    "SKIP",
    "SKIP_BLOCKING",
    "SKIP_LOCKS",
    "SKIP_OWNING",
    "SKIP_PAGES",
    "SKIP_RCU",
    "SKIP_TICKING",
    "SKIP_TRACKING",
    "SKIP_WAITING",
    "Family",
    "Names",
]

# Whatever a failure is about, these only print it, check for it or let it in.
_PLUMBING = (
    plumbing.REPORTING,
    plumbing.TRAPS,
    plumbing.CHECKING,
    plumbing.INJECTING,
    plumbing.THUNKS,
    plumbing.RUST,
    plumbing.ENTERING,
)
# These do something, but on behalf of a caller that is to blame.
_SERVING = (
    locking.LOCKING,
    locking.SIGNALLING,
    memory.COPYING,
    memory.LINKING,
    memory.ALLOCATING,
    objects.COUNTING,
    objects.REGISTERING,
    objects.CARRYING,
    objects.COMPUTING,
    objects.FORMATTING,
    objects.ASSERTING,
    objects.STATE,
)
_NEVER = (*_PLUMBING, *_SERVING)

# Innermost functions that identify no failure, not even as another name for it.
PLUMBING = Names(*_PLUMBING, locking.LOCKING, locking.WAITING, memory.COPYING)
SKIP = Names(*_NEVER)
SKIP_WAITING = Names(*_NEVER, locking.WAITING)
SKIP_BLOCKING = Names(*_NEVER, locking.WAITING, locking.BLOCKING)
SKIP_TICKING = Names(*_NEVER, locking.WAITING, locking.TICKING, locking.IDLE)
SKIP_PAGES = Names(*_NEVER, memory.FREEING_PAGES)
SKIP_OWNING = Names(*_NEVER, memory.OWNING)
SKIP_TRACKING = Names(*_NEVER, objects.TRACKING)
SKIP_LOCKS = Names(*_NEVER, Family.of("takes a lock", r"\w*(?<![bc])lock\w*"))
SKIP_RCU = Names(*_NEVER, Family.of("walks under RCU", r"\w*rcu\w*"), memory.OWNING)
DISPATCHES = Names(*dispatch.DISPATCHING)
FAULTS = Names(dispatch.FAULTING)
GENERAL = Names(dispatch.GENERAL)
SHARED = Names(dispatch.SHARED)
ENTRIES = Names(plumbing.ENTERING)
IDLE = Names(locking.IDLE)
INJECTED = Names(plumbing.INJECTING)
