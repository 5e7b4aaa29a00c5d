# SPDX-License-Identifier: GPL-2.0-only
"""Functions that stand in call traces without being to blame: tables of names, as patterns."""

import re


def any_of(*words: str) -> re.Pattern[str]:
    """Pattern of a whole name that is one of these."""
    return re.compile("(?:" + "|".join(words) + r")\Z")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What only carries a report out, whoever is to blame: printing, panicking, trapping.
REPORTING = _words(r"""
    sched_show_task dump_cpu_task show_state\w*
    _*dump_stack(_lvl|_print_info)? show_(stack|trace|regs)\w* dump_(backtrace|trace)\w*
    unwind_\w+ walk_stackframe \w*stack_(trace_)?save\w* save_stack\w* set_track\w*
    n?m?i?_?panic vpanic check_panic_on_warn (__)?warn(_slowpath\w*)? __warn_\w+ (__)?report_bug
    fixup_bug(\.\w+)? handle_bug (asm_)?exc_\w+ (__)?die(_\w+)? oops_\w+
    do_(error_trap|trap\w*|invalid_op|general_protection|divide_error|int3|debug) invalid_op
    general_protection divide_error error_(entry|exit|code) int3 (async_|trace_)?page_fault
    (trace_)?(__)?do_page_fault do_(user|kern)_addr_fault (__)?bad_area\w* no_context
    page_fault_oops die_kernel_fault mm_fault_error kernelmode_fixup_or_oops __do_kernel_fault
    do_(mem_abort|translation_fault|sp_pc_abort)
    do_(bad_area|DataAbort|PrefetchAbort|undefinstr|alignment\w*) el[01]\w*_\w+ el1_\w+
    (__)?dabt_svc (__)?und_svc\w* (bug|brk)_handler do_debug_exception call_break_hook
    bug_get_file_line ret_from_exception handle_exception do_trap_\w+ program_check\w*
    handle_page_fault print_\w+ v?_?printk\w* vprintk\w* describe_\w+ _*might_\w+ __schedule_bug
    debug_print_object debug_object_\w+ __debug_object_\w+ debug_check_no_obj_freed
    __debug_check_no_obj_freed check_preemption_disabled debug_smp_processor_id
    __this_cpu_preempt_check ubsan_\w+ __ubsan_\w+ handle_overflow val_to_string
    __stack_chk_fail fortify_panic __fortify_\w+ bust_spinlocks spin_(bug|dump) rwlock_bug
    (__)?do_kernel_fault asm_\w+ usercopy_(abort|warn) bad_page(_\w+)? (__)?dump_page\w*
    ex_handler_\w+ fixup_exception object_err slab_(err|bug|pad_check|fix)
    check_(bytes|object|slab|pad)\w* __slab_err lockdep_rcu_suspicious asswarn
    btrfs_assertfail __cfi_\w+ handle_cfi_failure\w* skb_(over_|under_)?panic
    assertfail kunit_\w*assert\w*
""")
# Checkers that stand between the culprit and the report.
CHECKING = _words(r"""
    _*kasan_\w+ __asan_\w+ _*hwasan_\w+ check_memory_region\w* check_region_inline memory_is_\w+
    _*kmsan_\w+ __msan_\w+ msan_\w+ _*kcsan_\w+ __tsan_\w+ (__)?kfence_\w+ (__)?sanitizer_\w+
    instrument_\w+ check_(copy_size|heap_object|bogus_address|stack_object|kernel_text_object)
    __?check_(object_size|heap_object) debug_(check|lockdep)_\w+ refcount_\w+ __refcount_\w+
    kref_\w+ (free|alloc)_debug_processing on_freelist free_to_partial_list slab_free_\w+
    setup_object\w* init_object lib_ring_buffer_\w+
""")
LOCKING = _words(r"""
    _?_?raw_(spin|read|write)_\w+ _*(spin|read|write)_(try)?(un)?lock\w* do_raw_\w+
    __pv_queued_\w+ pv_\w+ (native_)?queued_\w+ osq_\w+
    _*mutex_(lock|unlock|trylock|optimistic)\w* _*rt_mutex_\w+ __ww_\w+ ww_mutex_\w+
    _*down(_\w+)? _*up(_(read|write)\w*)? _*rwsem_\w+ call_rwsem_\w+ rwbase_\w+
    percpu_(down|up)_\w+ __percpu_\w+sem\w*
    _*lock_(acquire|acquired|release|is_held\w*|contended|pin\w*|unpin\w*|downgrade)\w*
    lockdep_\w+ lock_(set_class|chain_\w+) mark_(lock|held_locks|usage|lock_irq\w*)
    check_(prev|prevs|deadlock|noncircular|irq|usage|wait|path|chain|lock|flags|no_locks)\w*
    (__)?bfs\w* validate_chain register_lock_class look_up_lock_class (__)?lockdep\w*
    valid_state find_usage\w* (raw_)?local_irq_\w+ arch_local_\w+ trace_(hard|soft)irqs_\w+
    (trace_)?preempt_count_\w+ rcu_lock_\w+ rcu_read_(un)?lock\w* __rcu_read_(un)?lock\w*
    _*(seq|write_seq|read_seq)\w*(begin|retry|lock|unlock)\w* class_\w+_(con|de)structor
    reacquire_held_locks __local_bh_\w+ local_bh_\w+ cpus?_read_(un)?lock __bad_spinlock
    spin_\w+
""")
MEMORY = _words(r"""
    _*mem(cpy|move|set|cmp|chr|scan|dup|zero)\w*
    _*str(n?len|[nsl]?cpy|n?cmp|n?casecmp|r?chr|nchr\w*|n?str|[nl]?cat|sep|scpy)(_\w+)?
    _*str(c?spn|pbrk|im|n?dup\w*)(_\w+)?
    strn(cpy_from|len)_user _*(raw_|arch_)?copy_(to|from|in)_user\w*
    copyin\w* copyout\w* copy_(user|mc)_\w+ _*(get|put)_user\w*
    _*clear_user\w* rep_(movs|stos)\w* _*(arch_|raw_)?atomic(64|_long)?_\w+
    _*(arch_)?(test|set|clear|change|variable_test|constant_test)_(and_\w+_)?bit\w*
    _*(read|write)_once\w* _*find_(next|first|last)_\w*bit\w*
    _*(r|h)?list_(add|del|empty|move|splice|replace|cut|bulk)\w* _*hlist_\w+
    _*rb_(insert|erase|next|prev|first|last|link|add|rotate)\w* _*(arch_)?(cmp)?xchg\w*
    _*bitmap_\w+ csum_partial\w* __memcpy\w* llist_\w+ skb_queue_\w+lock\w*
""")
ALLOCATING = _words(r"""
    _*kmalloc(_(trace|node|order|large|array|slab|reserve|track_caller|cache|big|noprof|nolock)\w*)*
    _*k[zc]alloc(_(node|noprof)\w*)* _*kv?z?free(_(sensitive|bulk|skbmem|const|rcu)\w*)*
    _*kmem_cache_(alloc|free|zalloc|shrink|node)\w* _*slab_\w+ _+slab_\w+
    _*cache_(free|alloc)\w* _*kv[mz]alloc\w* _*v[mz]alloc(_(node|user|huge|32|noprof|array)\w*)*
    _*kv?realloc(_(array|node|noprof)\w*)* do_slab_free ksize
    kmemdup\w* kmemleak_\w+ create_object allocate_slab new_slab\w* discard_slab _*free_slab
    qlist_\w+ qlink_\w+ quarantine_\w+ _*unfreeze_partials\w* put_cpu_partial\w*
    get_(any_)?partial\w* deactivate_slab\w* alloc_hooks?_\w*
    free_large_kmalloc \w*_kmalloc_large\w*
""")
# Entries of the kernel; never to blame, and the end of what a trace has to say.
ENTERING = _words(r"""
    (asm_)?(do|entry|ret_from|return_from|system|sysenter|invoke|x64|ia32|tracesys|el0)_?(SYSCALL|SYSENTER|INT80|syscall|sys_call|fork|kernel_thread|fast_syscall|svc|int80|32_irqs)\w*
    entry_\w+ do_(sys|int80|fast_sys)\w*call\w* x64_sys_call __do_fast_syscall_32
    ret_(fast|to)_\w+ ret_from_\w+ system_call\w* kthread secondary_startup\w* start_secondary
    kernel_thread_helper child_rip call_on_\w*stack irq_exit\w* __irq_exit\w* invoke_softirq
    do_softirq\w* __do_softirq handle_softirqs
""")
WAITING = _words(r"""
    context_switch __schedule schedule(_\w+)? __sched_text_start preempt_schedule\w*
    _*wait_for_(common|completion)\w* do_wait_for_common io_schedule\w* __switch_to\w*
    (out_of_line_)?wait_on_bit\w* __wait_on_bit\w* bit_wait\w* _cond_resched __cond_resched
    prepare_to_wait\w* _*might_resched
""")
# What a task that no longer goes on is found in, whatever it wants.
BLOCKING = _words(r"""
    \w*sched(ule)?(_\w+)? \w*wait\w* \w*completion\w* \w*synchronize\w* \w+_lock(_\w+)?
    \w*slowlock\w* \w*down(_\w+)? kthread\w*
""")
TICKING = _words(r"""
    rcu_\w+ __rcu_\w+ (\w+_)?hrtimer_\w+ tick_\w+ update_(process_times|wall_time)
    (sched|scheduler)_tick \w*sysvec_\w+ (\w+_)?apic_timer_\w+ smp_\w*apic\w*
    local_apic_timer_interrupt \w*nmi_\w+ (arch_)?trigger_\w+ watchdog_\w+ is_softlockup
    lockup_\w+ print_other_cpu_stall check_cpu_stall perf_(event_)?nmi\w* intel_pmu_\w+
    end_repeat_nmi nmi timekeeping_\w+ native_\w+ (smp|generic)_call_function\w*
    __flush_smp_call\w* csd_lock\w* __csd_\w+ on_each_cpu\w* flush_tlb_\w+ arch_tlbbatch_flush
    (gic|arch_timer|armv8_timer)_\w+ handle_(percpu|fasteoi|domain|irq)\w* generic_handle_\w+
    do_interrupt_handler ipi_\w+ handle_IPI do_handle_IPI call_irq_handler el1h?_\w*irq\w*
    _*(irq|fiq)_(svc|usr)\w* asm_do_IRQ handle_IRQ \w*timer_(interrupt|handler)\w*
    restore_\w*irq\w* \w*replay_soft_interrupts\w* decrementer_\w+
    __cpu_\w+ irq_work_\w+ \w+_irq_entry common_interrupt ret_from_intr do_IRQ call_timer_fn\w*
    kvm_(wait|kick_cpu) cpu_relax rep_nop profile_tick __sysvec\w* run_local_timers
""")
FREEING_PAGES = _words(r"""
    _*free_(pages|page|unref|pcp|one|frozen|tail|hot_cold|pcppages|large|swap|the)\w*
    _*(put|release)_(page|pages|folio|compound)\w* _*folio_(put|batch_release)\w* folios_put\w*
    _*pagevec_\w+ check_(new|free)_page\w* prep_new_page get_page_from_freelist rmqueue\w*
    _*alloc_(pages|page|frozen_pages|contig)\w* alloc_pages_\w+ _*folio_alloc\w*
    vma_alloc_folio\w* post_alloc_hook (lru_)?_?_?free_hot\w* tlb_\w+ _*tlb_\w+ rmqueue_bulk
    free_compound\w* free_transhuge\w* destroy_(large|compound)\w* release_pages
    vm_normal_\w+ expand page_(expected_state|bad_reason) compaction_alloc\w*
    _*page_(frag|cache)_(free|drain|release)\w*
""")
# Text put together for others.
FORMATTING = _words(r"""
    string(_nocheck)? pointer number widen_string format_decode \w*v?s?c?n?printf va_format
    kv?asprintf\w* kvasprintf_const dev_(printk\w*|vprintk\w*|info|notice|warn|err|alert|crit|emerg)
    _dev_\w+ seq_v?printf
""")
# Ends of timers, work and threads, which wait for whoever is at work.
CANCELLING = _words(r"""
    (try_to_)?del_timer\w* (__)?(try_to_)?timer_(delete|shutdown)\w* _*cancel_\w*work\w*
    _*flush_(delayed_|rcu_)?work\w* start_flush_work\w* (__)?flush_workqueue _*drain_workqueue
    destroy_workqueue try_to_grab_pending work_grab_pending kthread_(stop|park|flush|cancel)\w*
    finish_wait (add|remove)_wait_queue\w* _*wake_up(_\w+)? (auto)?remove_wake_function
    \w+_is_static_object
""")
# What drivers and protocols are registered with.
REGISTERING = _words(r"""
    kobject_\w+ kobj_\w+ add_uevent_var get_device_parent sysfs_remove_\w+
    device_(add|del|register|unregister|destroy|for_each_child|remove_file\w*)
    tty_unregister_device rollback_registered\w* unregister_netdev\w* hwrng_unregister
    i2c_del_adapter __unregister_client proc_register
    (dummy_)?(usb|urb)_(submit_urb|hcd_submit_urb|kill_urb|kill_anchored_urbs|control_msg\w*)
    usb_(start_wait_urb|bulk_msg|interrupt_msg) dummy_urb_enqueue
""")
# Whatever allocates, copies or maps for its caller.
OWNING = _words(r"""
    \w*alloc\w* \w*str(n)?dup\w* \w*memdup\w* \w*mmap\w* \w*kmem\w* \w*slab\w* idr_get\w*
    list_lru_init\w* pcpu_create\w*
""")
TRACKING = _words(r"""
    \w*rcu\w* debug_\w+ _*(hr)?timer_\w+ hrtimer_\w+ (__)?(init|destroy)_(timer|work|hrtimer)\w*
    init_timer\w* \w*work_\w+ percpu_\w+ __free_\w+ vunmap\w* (__)?vfree\w* kobject_\w+
""")
# Between an entry and the code that it asked for.
GENERAL = _words(r"""
    (compat_)?_*k?sys_(read|write|readv|writev|p(read|write)(v2?|64)|ioctl|sendmsg|sendto|recvmsg|recvfrom)
    do_readv_writev do_p?(readv|writev) (compat_)?do_p?(readv|writev)\w* __do_loop_readv_writev
    _*sys_(send|recv)m?msg\w* _*sys_(sendto|recvfrom) __x64_sys_(read|write|ioctl)
    worker_thread process_scheduled_works rescuer_thread run_timer\w* expire_timers
    rest_init x86_64_start_\w+ arch_call_rest_init start_kernel common_startup_64
    syscall_\w+ arch_do_signal\w* do_signal get_signal do_notify_resume irqentry_\w+
    cpu_bringup_and_idle
""")
# Who hands on to whatever was registered, named or queued: files, sockets, packets, faults, work.
DISPATCHING = (
    *ENTERING,
    *_words(r"""
    process_one_work call_timer_fn _*run_timers run_timer_\w+ run_ksoftirqd smpboot_thread_fn
    cpu_startup_entry invoke_syscall tasklet_action\w* kthread_worker_fn
    full_proxy_\w+ _*vfs_(read|write|ioctl|open|iter_read|iter_write|iocb_\w+) new_sync_(read|write)
    call_(read|write)_iter do_iter_\w+ do_loop_readv_writev (do_vfs|ksys|file|compat|blkdev)_ioctl
    blkdev_driver_ioctl blkdev_common_ioctl do_dentry_open call_mmap mmap_region __mmap_region
    do_mmap(_pgoff)? sock_mmap _*sock_(send|recv)msg\w* sock_(write|read)_iter _*sock_release
    sock_(do_)?ioctl compat_sock_ioctl sk_common_release sock_common_setsockopt
    (__sys|kernel|do_sock|SYSC|SyS)_(setsockopt|getsockopt|listen|accept\w*|connect|socketpair)
    nfnetlink_rcv_msg _*netif_receive_skb\w* net_rx_action _*napi_poll\w* process_backlog
    __do_fault handle_mm_fault do_(user|kern)_addr_fault (__)?do_page_fault
    (async_|trace_)?page_fault (asm_)?exc_page_fault _*fput\w* delayed_fput task_work_run
    exit_to_user\w* prepare_exit_to_usermode
    """),
)
# Walks that many callers share: the caller says more, if there is one that says anything.
SHARED = any_of(
    r"rmap_walk\w*",
    r"\w+interval_tree_\w+",
    r"(__)?handle_mm_fault",
    r"handle_pte_fault",
    r"walk_(page|p[gu4m]d)_range\w*",
)
NEVER = (
    *REPORTING, *CHECKING, *LOCKING, *MEMORY, *ALLOCATING, *FORMATTING, *CANCELLING, *REGISTERING,
    *ENTERING,
)  # fmt: skip
SKIP = any_of(*NEVER)
SKIP_WAITING = any_of(*NEVER, *WAITING)
SKIP_BLOCKING = any_of(*NEVER, *WAITING, *BLOCKING)
SKIP_TICKING = any_of(*NEVER, *WAITING, *TICKING)
SKIP_PAGES = any_of(*NEVER, *FREEING_PAGES)
SKIP_OWNING = any_of(*NEVER, *OWNING)
SKIP_TRACKING = any_of(*NEVER, *TRACKING)
SKIP_LOCKS = any_of(*NEVER, r"\w*(?<![bc])lock\w*")
SKIP_RCU = any_of(*NEVER, r"\w*rcu\w*", *OWNING)
