# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c, mm/page_alloc.c, mm/filemap.c, kernel/fork.c; devices and inodes that stay."""

from mmrace.crash.bystander import SKIP_PAGES
from mmrace.crash.formats.base import Format, Use, says
from mmrace.crash.kind import Kind

MEMORY = (
    Format(Kind.BAD_PAGE_MAP, says(r"(?P<text>BUG: Bad page map) in process"), skip=SKIP_PAGES),
    Format(
        Kind.BAD_PAGE_STATE,
        says(r"(?P<text>BUG: Bad page (?:state|cache)) in process"),
        skip=SKIP_PAGES,
    ),
    Format(Kind.BAD_PAGE_STATE, says(r"(?P<text>Bad page state) in process"), skip=SKIP_PAGES),
    Format(
        Kind.BAD_RSS, says(r"(?P<text>BUG: Bad rss-counter state) mm:"), use=Use.NONE, stack=False
    ),
    Format(
        Kind.BAD_RSS,
        says(r"(?P<text>BUG: non-zero (?:pgtables_bytes|nr_\w+) on freeing mm)"),
        use=Use.NONE,
        stack=False,
    ),
    Format(  # net/core/dev.c
        Kind.UNREGISTER_NETDEVICE,
        says(r"(?P<text>unregister_netdevice: waiting for) \S+ to become free"),
        "unregister_netdevice: waiting for device to become free",
        Use.NONE,
        stack=False,
    ),
    Format(  # fs/super.c
        Kind.BUG,
        says(r"(?P<text>VFS: Busy inodes after unmount)"),
        use=Use.NONE,
        stack=False,
    ),
)
