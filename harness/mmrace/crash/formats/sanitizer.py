# SPDX-License-Identifier: GPL-2.0-only
"""KASAN, KMSAN, KCSAN, KFENCE, UBSAN, kmemleak, objects debugging of SLUB."""

from mmrace.crash.formats.base import AT, CALL_TRACE, NUMBER, Format, Proof, Use, says, starts
from mmrace.crash.helpers import SKIP_OWNING
from mmrace.crash.kind import Kind

SANITIZERS = (
    # mm/kasan/report.c; before 4.1 "AddressSanitizer", up to 4.4 "KASan"
    Format(
        Kind.KASAN,
        says(
            r"BUG: (?:KASAN|KASan): (?P<text>maybe wild-memory-access|[\w -]+?)"
            rf"(?: (?:in|on|at) (?:address |addr )?(?:{AT})?|$)"
        ),
        "KASAN: {text}",
        Use.HEADER,
    ),
    Format(
        Kind.KASAN,
        says(r"BUG: AddressSanitizer: (?P<text>[\w -]+?) (?:in|on) "),
        "KASAN: {text}",
    ),
    Format(  # arm64's inline tag checks trap
        Kind.KASAN,
        says(r"Internal error: Oops - (?P<text>KASAN)" + NUMBER),
        "KASAN: invalid-access",
        Use.POINTER,
    ),
    Format(  # mm/kmsan/report.c
        Kind.KMSAN,
        says(rf"BUG: KMSAN: (?P<text>[\w-]+(?: [\w-]+)*?)(?: (?:in|on) (?:{AT})?|$)"),
        "KMSAN: {text}",
        Use.HEADER,
    ),
    Format(  # kernel/kcsan/report.c
        Kind.KCSAN,
        says(
            rf"BUG: KCSAN: (?P<text>[\w:-]+(?: [\w:-]+)*?) in {AT}\S*"
            r"(?: / (?P<other>[A-Za-z_][\w.$]*))?"
        ),
        "KCSAN: {text}",
        Use.HEADER,
    ),
    Format(  # mm/kfence/report.c
        Kind.KFENCE,
        says(rf"BUG: KFENCE: (?P<text>[\w-]+(?: [\w-]+)*?)(?: in {AT}|$)"),
        "KFENCE: {text}",
        Use.HEADER,
    ),
    Format(  # lib/ubsan.c, arch/arm64/kernel/traps.c
        Kind.UBSAN,
        says(r"Internal error: UBSAN: (?P<text>[a-z][\w -]+?)" + NUMBER),
        "UBSAN: {text}",
        Use.POINTER,
    ),
    Format(
        Kind.UBSAN,
        says(r"UBSAN: (?P<text>[\w-]+(?: [\w-]+)*?) in (?P<file>\S+?:\d+)"),
        "UBSAN: {text}",
    ),
    # mm/kmemleak.c
    Format(Kind.MEMORY_LEAK, says(r"(?:BUG: memory leak\s*$)"), "memory leak", skip=SKIP_OWNING),
    Format(
        Kind.MEMORY_LEAK,
        starts(r"(?:kmemleak: )?unreferenced object (?:\(percpu\) )?0x[0-9a-f]+ \(size \d+\)"),
        "memory leak",
        skip=SKIP_OWNING,
    ),
    # mm/slub.c, mm/slab.c
    Format(
        Kind.SLAB_CORRUPTION,
        says(
            r"BUG (?P<cache>[\w:.*-]+) ?\((?:Not tainted|Tainted)[^)]*\)*: "
            r"(?P<text>[\w ,/'-]+)"
        ),
        "BUG: {text}",
        after=CALL_TRACE,
    ),
    Format(
        Kind.SLAB_CORRUPTION,
        says(r"(?:[Ss]lab corruption\b|slab error in |slab: Internal list corruption)"),
        "slab corruption",
        proof=Proof.STAMP,
    ),
)
