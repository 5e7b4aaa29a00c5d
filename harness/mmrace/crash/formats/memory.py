# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c, mm/page_alloc.c, mm/filemap.c, kernel/fork.c; devices and inodes that stay."""

from mmrace.crash.formats.base import CALL_TRACE, Format, Use, says, starts
from mmrace.crash.helpers import SKIP_PAGES
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
    Format(  # fs/dcache.c; a WARN behind it, whose place identifies nothing
        Kind.BUG,
        says(r"(?P<text>BUG: Dentry) [^{]{1,40}\{.{0,300}\} +still in use \("),
        "{text} still in use",
        Use.NONE,
        stack=False,
        announces=True,
    ),
    Format(  # fs/open.c; since 6.7 a part of a WARN or BUG
        Kind.BUG,
        says(r"(?P<text>VFS: Close: file count is (?:0|zero))"),
        use=Use.NONE,
        stack=False,
        announces=True,
    ),
)

# Lines out of the middle of a report, which count where its header is lost.
HEADLESS = (
    Format(  # mm/slub.c, print_trailer()
        Kind.SLAB_CORRUPTION,
        starts(
            r"\s*(?P<text>Redzone|Object|Padding|Bytes b4) +(?:0x)?[0-9a-f]{8,16}: "
            r"(?:[0-9a-f]{2} ){4}"
        ),
        "slab corruption",
        after=CALL_TRACE,
        headless=True,
    ),
    Format(  # mm/page_alloc.c
        Kind.BAD_PAGE_STATE,
        says(r"\bbad_page(?:\.\w+)*\+0x"),
        "Bad page state",
        skip=SKIP_PAGES,
        headless=True,
    ),
    Format(  # mm/memory.c
        Kind.BAD_PAGE_MAP,
        says(r"\bprint_bad_(?:pte|page_map)(?:\.\w+)*\+0x"),
        "Bad page map",
        skip=SKIP_PAGES,
        headless=True,
    ),
)
