# SPDX-License-Identifier: GPL-2.0-only
"""Reports with something else between their lines."""

from mmrace.crash import Kind, parse

HUNG = b"""\
[  143.000001] INFO: task a:1 blocked for more than 143 seconds.
[  143.000002]       Not tainted 6.1.0 #1
[  143.000003] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
[  143.000004] task:a               state:D stack:    0 pid:    1 ppid:     0 flags:0x00004000
[  143.000005] Call Trace:
[  143.000006]  __schedule+0x12/0x34
[  143.000007]  schedule+0x12/0x34
[  143.000008] unregister_netdevice: waiting for lo to become free. Usage count = 2
[  143.000009]  __mutex_lock+0x12/0x34
[  143.000010]  toy_open+0x12/0x34
[  143.000011]  entry_SYSCALL_64_after_hwframe+0x63/0xcd
"""


def test_a_line_of_another_event_does_not_end_a_trace():
    hung, device = parse(HUNG)
    assert (hung.kind, hung.function, hung.corrupted) == (Kind.HUNG_TASK, "toy_open", None)
    assert (device.kind, device.function) == (Kind.UNREGISTER_NETDEVICE, "")


def test_a_waiter_for_everybodys_lock_is_another_name():
    (hung,) = parse(
        b"[  143.000001] INFO: task a:1 blocked for more than 143 seconds.\n"
        b"[  143.000002] Call Trace:\n[  143.000003]  schedule+0x12/0x34\n"
        b"[  143.000004]  rtnl_lock+0x12/0x34\n[  143.000005]  toy_open+0x12/0x34\n"
    )
    assert hung.function == "rtnl_lock"
    assert hung.alt_titles == ("INFO: task hung in toy_open",)


def test_what_was_inlined_and_what_it_was_inlined_into_are_both_names():
    (found,) = parse(
        b"general protection fault: 0000 [#1] SMP KASAN\n"
        b"RIP: 0010:tiny_fn include/net/x.h:12 [inline]\n"
        b"RIP: 0010:toy_fn+0x12/0x34 net/x.c:77\nCall Trace:\n caller_fn+0x12/0x34 net/y.c:12\n"
    )
    assert found.function == "tiny_fn"
    assert "general protection fault in toy_fn" in found.alt_titles


def test_a_leak_has_the_name_of_the_allocators_caller_too():
    (leak,) = parse(
        b"BUG: memory leak\nunreferenced object 0xffff888012345678 (size 64):\n  backtrace:\n"
        b"    [<ffffffff81234567>] kmalloc_trace+0x12/0x34\n"
        b"    [<ffffffff81234568>] toy_alloc_ring+0x12/0x34\n"
        b"    [<ffffffff81234569>] toy_probe+0x12/0x34\n"
    )
    assert leak.function == "toy_alloc_ring"
    assert "memory leak in toy_probe" in leak.alt_titles
