# SPDX-License-Identifier: GPL-2.0-only
"""What hands on to a file's, a socket's or a timer's own method."""

from mmrace.crash.helpers.names import Family
from mmrace.crash.helpers.plumbing import ENTERING

GENERAL = Family.of(
    "stands between an entry and the code that it asked for",
    r"""
    (compat_)?k?(sys|SyS|SYSC)_(read|write|readv|writev|p(read|write)(v2?|64)|ioctl|sendmsg|sendto|recvmsg|recvfrom|sendmmsg|recvmmsg)
    (\w+_)?(sys|SyS|SYSC|C_SYSC)_(read|write|readv|writev|ioctl|sendm?msg|recvm?msg|sendto|recvfrom|socketcall)
    do_readv_writev do_p?(readv|writev) (compat_)?do_p?(readv|writev)\w* do_loop_readv_writev
    worker_thread process_scheduled_works rescuer_thread run_timer\w* expire_timers rest_init
    x86_64_start_\w+ arch_call_rest_init start_kernel common_startup_64 syscall_\w+
    arch_do_signal\w* do_signal get_signal do_notify_resume irqentry_\w+ cpu_bringup_and_idle
    """,
)
HANDING_ON = Family.of(
    "calls a method that was registered, named or queued",
    r"""
    process_one_work call_timer_fn run_timers run_timer_\w+ run_ksoftirqd smpboot_thread_fn
    cpu_startup_entry invoke_syscall tasklet_action\w* kthread_worker_fn hrtimer_run_queues
    full_proxy_\w+ vfs_(read|write|ioctl|open|iter_read|iter_write|iocb_\w+) new_sync_(read|write)
    call_(read|write)_iter do_iter_\w+ do_loop_readv_writev
    (do_vfs|ksys|file|compat|blkdev|compat_blkdev)_ioctl blkdev_(driver|common)_ioctl
    do_dentry_open call_mmap mmap_region do_mmap(_pgoff)? sock_mmap sock_(send|recv)msg\w*
    (____)?sys_(send|recv)msg\w* sock_(write|read)_iter sock_release sock_sendmsg_nosec
    (compat_)?sock_(do_)?ioctl sk_common_release sock_common_setsockopt sock_recvmsg_nosec
    (sys|kernel|do_sock|SYSC|SyS|compat)_(setsockopt|getsockopt|listen|accept\w*|connect|socketpair)
    (nfnetlink|rtnetlink|xfrm_user|genl)_rcv(_msg)? (netlink|genl_family)_rcv\w* netlink_unicast
    netlink_sendmsg sock_diag_rcv\w* genl_family_rcv_msg_doit netif_receive_skb\w* net_rx_action
    napi_poll\w* process_backlog fput\w* delayed_fput task_work_run exit_to_user\w*
    prepare_exit_to_usermode
    """,
)
# A page fault may come from a copy to or from user space, inside what was asked for.
FAULTING = Family.of(
    "serves a page fault",
    r"""
    do_fault handle_mm_fault do_(user|kern)_addr_fault (trace_)?do_page_fault handle_page_fault
    (async_|trace_)?page_fault exc_page_fault asm_exc_page_fault do_(mem_abort|translation_fault)
    el[01]_(abort|da) do_DataAbort dabt_(svc|usr)
    """,
)
DISPATCHING = (ENTERING, HANDING_ON, FAULTING)
# Walks that many callers share: the caller says more, if there is one that says anything.
SHARED = Family.of(
    "walks or serves for many callers",
    r"""
    rmap_walk\w* \w+interval_tree_\w+ handle_mm_fault handle_pte_fault
    walk_(page|p[gu4m]d)_range\w* process_one_work worker_thread process_scheduled_works
    """,
)
