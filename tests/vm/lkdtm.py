# SPDX-License-Identifier: GPL-2.0-only
"""What each of LKDTM's triggers is meant to provoke, and walks over all of them on a kernel.

Read in drivers/misc/lkdtm of 6.1 and 6.12: what a trigger does, and which check sees it.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmrace import crash
from mmrace.crash import Crash, Kind
from mmrace.definitions.machine import load_machine
from mmrace.guests.qemu import Boot
from mmrace.guests.vm import Hooks, Limits, run_vm
from mmrace.home import Home
from mmrace.userland.image import Job, job_segment, make_image
from mmrace.userland.program import build_init

GUEST = Path(__file__).parents[2] / "qemu" / "guest"
BOOTS = 40  # of one walk at most
DETECTORS = (
    "sysctl.kernel.watchdog_thresh=2",
    "sysctl.kernel.hung_task_timeout_secs=3",
    "rcupdate.rcu_cpu_stall_timeout=3",
    "workqueue.watchdog_thresh=4",
)
BOOT = (
    *("console=ttyS0", "nokaslr", "panic=-1", "random.trust_cpu=on", "no_timer_check"),
    *("printk.devkmsg=on", "kasan_multi_shot", "slub_debug=FZPU", "kmemleak=off"),
    *DETECTORS,
)
_MARK = re.compile(rb"provoke: (begin|end|leave) (\S+) ?([^\r\n]*)")

# (options that must be on, "!" before one that must be off; kinds). The first that holds counts;
# without any the trigger does no harm that this kernel would see.
Meant = tuple[tuple[str, frozenset[Kind]], ...]


def _any(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


STUCK = _any(Kind.SOFT_LOCKUP, Kind.HARD_LOCKUP, Kind.RCU_STALL, Kind.WORKQUEUE_LOCKUP)
_ALWAYS: dict[Kind, str] = {
    Kind.PANIC: "PANIC PANIC_STOP_IRQOFF",
    Kind.BUG: "BUG",
    Kind.WARNING: "WARNING WARNING_MESSAGE UNSET_SMEP",
    Kind.HUNG_TASK: "HUNG_TASK",
    Kind.PAGE_FAULT: (
        "WRITE_RO WRITE_RO_AFTER_INIT WRITE_KERN EXEC_DATA EXEC_STACK EXEC_KMALLOC EXEC_VMALLOC"
        " EXEC_RODATA EXEC_USERSPACE"
    ),
    Kind.NULL_POINTER: "EXEC_NULL",
    Kind.REFCOUNT: (
        "REFCOUNT_INC_OVERFLOW REFCOUNT_ADD_OVERFLOW REFCOUNT_INC_NOT_ZERO_OVERFLOW"
        " REFCOUNT_ADD_NOT_ZERO_OVERFLOW REFCOUNT_DEC_ZERO REFCOUNT_DEC_NEGATIVE"
        " REFCOUNT_DEC_AND_TEST_NEGATIVE REFCOUNT_SUB_AND_TEST_NEGATIVE REFCOUNT_INC_ZERO"
        " REFCOUNT_ADD_ZERO REFCOUNT_INC_SATURATED REFCOUNT_DEC_SATURATED REFCOUNT_ADD_SATURATED"
        " REFCOUNT_INC_NOT_ZERO_SATURATED REFCOUNT_ADD_NOT_ZERO_SATURATED"
        " REFCOUNT_DEC_AND_TEST_SATURATED REFCOUNT_SUB_AND_TEST_SATURATED"
    ),
}
_CHECKED: dict[str, dict[Kind, str]] = {
    "DEBUG_LIST": {Kind.LIST_CORRUPTION: "CORRUPT_LIST_ADD CORRUPT_LIST_DEL"},
    "UBSAN_SANITIZE_ALL": {Kind.UBSAN: "ARRAY_BOUNDS"},
    "HARDENED_USERCOPY": {
        Kind.BUG: (
            "USERCOPY_SLAB_SIZE_TO USERCOPY_SLAB_SIZE_FROM USERCOPY_SLAB_WHITELIST_TO"
            " USERCOPY_SLAB_WHITELIST_FROM USERCOPY_STACK_FRAME_TO USERCOPY_STACK_FRAME_FROM"
            " USERCOPY_STACK_BEYOND USERCOPY_FOLIO USERCOPY_KERNEL"
        )
    },
    "FORTIFY_SOURCE": {Kind.WARNING: "FORTIFY_MEM_MEMBER"},
}
MEANT: dict[str, Meant] = {
    **{name: (("", _any(kind)),) for kind, text in _ALWAYS.items() for name in text.split()},
    **{
        name: ((option, _any(kind)),)
        for option, kinds in _CHECKED.items()
        for kind, text in kinds.items()
        for name in text.split()
    },
    # Since 6.9 a WARNING says what the BUG behind it is about.
    **{
        name: (("FORTIFY_SOURCE", _any(Kind.BUG, Kind.WARNING)),)
        for name in (
            *("FORTIFY_STR_OBJECT", "FORTIFY_STR_MEMBER", "FORTIFY_MEM_OBJECT", "FORTIFY_STRSCPY"),
            "VMALLOC_LINEAR_OVERFLOW",
        )
    },
    # KASAN looks first where it has shadow for the page behind the stack.
    "EXHAUST_STACK": (
        ("KASAN_VMALLOC", _any(Kind.KASAN, Kind.STACK_OVERFLOW, Kind.DOUBLE_FAULT)),
        ("VMAP_STACK", _any(Kind.STACK_OVERFLOW)),
    ),
    "CORRUPT_STACK": (
        ("KASAN_STACK", _any(Kind.KASAN)),
        ("STACKPROTECTOR", _any(Kind.STACK_OVERFLOW)),
    ),
    "CORRUPT_STACK_STRONG": (
        ("KASAN_STACK", _any(Kind.KASAN)),
        ("STACKPROTECTOR_STRONG", _any(Kind.STACK_OVERFLOW)),
    ),
    "REPORT_STACK_CANARY": (("KASAN_STACK", _any(Kind.KASAN)),),
    "LOOP": (("!PREEMPTION", STUCK),),
    "SOFTLOCKUP": (("", STUCK),),
    "HARDLOCKUP": (("", STUCK),),
    "SMP_CALL_LOCKUP": (("", STUCK),),
    # It returns with a lock held, and can then neither sleep nor come to its exit.
    "SPINLOCKUP": (
        ("PROVE_LOCKING", _any(Kind.LOCKDEP, Kind.SLEEPING_IN_ATOMIC)),
        ("", STUCK | _any(Kind.SLEEPING_IN_ATOMIC)),
    ),
    # The guard page behind the area counts as part of it: only KASAN sees that it is not.
    "USERCOPY_VMALLOC": (("KASAN_VMALLOC", _any(Kind.KASAN)),),
    "EXCEPTION": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.NULL_POINTER))),
    "ACCESS_NULL": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.NULL_POINTER))),
    "ACCESS_USERSPACE": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.PAGE_FAULT))),
    "STACK_GUARD_PAGE_LEADING": (
        ("KASAN_VMALLOC", _any(Kind.KASAN, Kind.STACK_OVERFLOW)),
        ("VMAP_STACK", _any(Kind.STACK_OVERFLOW)),
    ),
    "STACK_GUARD_PAGE_TRAILING": (
        ("KASAN_VMALLOC", _any(Kind.KASAN, Kind.PAGE_FAULT, Kind.STACK_OVERFLOW)),
        ("VMAP_STACK", _any(Kind.PAGE_FAULT, Kind.STACK_OVERFLOW)),
    ),
    "SLAB_LINEAR_OVERFLOW": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.SLAB_CORRUPTION))),
    "WRITE_AFTER_FREE": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.SLAB_CORRUPTION))),
    "READ_AFTER_FREE": (("KASAN", _any(Kind.KASAN)),),
    "WRITE_BUDDY_AFTER_FREE": (("KASAN", _any(Kind.KASAN)),),
    "READ_BUDDY_AFTER_FREE": (("KASAN", _any(Kind.KASAN)),),
    "SLAB_FREE_DOUBLE": (("KASAN", _any(Kind.KASAN)), ("", _any(Kind.SLAB_CORRUPTION))),
    "SLAB_FREE_CROSS": (("", _any(Kind.WARNING)),),
    "SLAB_FREE_PAGE": (("", _any(Kind.NULL_POINTER)),),  # KASAN does not look into SLUB
}


def expected_kinds(trigger: str, config: dict[str, str]) -> frozenset[Kind]:
    """Kinds that a trigger may show on a kernel of that config; none where nobody looks."""
    for option, kinds in MEANT.get(trigger, ()):
        is_set, name = not option.startswith("!"), option.removeprefix("!")
        if not name or (config.get(name) == "y") is is_set:
            return kinds
    return frozenset()


@dataclass(frozen=True)
class Pulled:
    """One trigger: the console from its mark to the next one, what it said at the end."""

    trigger: str
    console: bytes
    end: str
    crashes: tuple[Crash, ...]


class Walk:
    """Walks over triggers, in as many boots as it takes."""

    def __init__(self, home: Home, kernel: Path, folder: Path) -> None:
        program = folder / "provoke"
        source = Path(__file__).with_name("provoke.c")
        command = ["gcc", "-static", "-O2", "-Wall", "-I", GUEST, "-o", program, source]
        subprocess.run(command, check=True)
        self._image = make_image(home, build_init(home, str), [program])
        self._kernel = kernel
        self._folder = folder
        self._boots = 0

    def boot(self, *argv: str, extra: tuple[str, ...] = ()) -> bytes:
        """Boot and run ``provoke ARGV``; the console."""
        self._boots += 1
        folder = self._folder / f"{self._boots:02}"
        folder.mkdir()
        initrd = folder / "initrd"
        job = Job(name="provoke", argv=("provoke", *argv), seconds=900, iterations=1)
        initrd.write_bytes(self._image.read_bytes() + job_segment(job))
        machine = load_machine("numa2")
        start = Boot(machine, self._kernel, initrd, (*BOOT, *extra), "tcg")
        run_vm(start, folder, Limits(boot=120, silence=60, total=900), Hooks())
        return (folder / "console.log").read_bytes()

    def all(self) -> Iterator[Pulled]:
        """Pull every trigger that the guest names, in its order."""
        last: tuple[str, ...] = ()
        for _ in range(BOOTS):
            console = self.boot("walk", *last)
            found = list(pulled(console))
            yield from found
            if not found or b"provoke: end of all" in console:
                return
            last = (found[-1].trigger,)


def pulled(console: bytes) -> Iterator[Pulled]:
    """Cut the console at the marks; crashes are read in the whole of it."""
    crashes = crash.parse(console)
    marks = list(_MARK.finditer(console))
    begun = [mark for mark in marks if mark[1] in (b"begin", b"leave")]
    for number, mark in enumerate(begun):
        name = mark[2].decode()
        start = console.rfind(b"\n", 0, mark.start()) + 1
        after = begun[number + 1].start() if number + 1 < len(begun) else len(console)
        stop = console.rfind(b"\n", 0, after) + 1
        ends = [item for item in marks if item[1] == b"end" and item[2] == mark[2]]
        note = "left out" if mark[1] == b"leave" else ""
        yield Pulled(
            name,
            console[start:stop],
            ends[0][3].decode() if ends else note or "the machine ended",
            tuple(item for item in crashes if start <= item.start < stop),
        )
