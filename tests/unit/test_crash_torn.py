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
