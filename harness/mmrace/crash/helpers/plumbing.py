# SPDX-License-Identifier: GPL-2.0-only
"""Functions that carry a report out and never caused it: traps, printing, sanitizers, tracing,
entries.
"""

from mmrace.crash.helpers.names import Family

REPORTING = Family.of(
    "prints the report or stops the machine",
    r"""
    dump_stack(_lvl|_print_info)? show_(stack|trace|regs|backtrace|raw_backtrace|stacktrace)\w*
    dump_(backtrace|trace|mem|header|instr)\w* c_backtrace backtrace\w* show_state\w* show_mem\w*
    sched_show_task dump_cpu_task unwind_\w+ (arch_)?walk_stackframe \w*stack_(trace_)?save\w*
    save_stack\w* arch_stack_walk\w* set_track\w* (nmi_)?v?panic panic_bad_stack handle_bad_stack
    bad_stack check_panic_on_warn (do_)?warn(_slowpath\w*)? __warn_\w+ WARN_trap report_bug\w*
    bug_get_file_line find_bug die(_\w+)? oops_\w+ notify_die arm_notify_die arm64_notify_die
    parisc_terminate print_\w+ v?printk\w* describe_\w+ might_\w+ schedule_bug bust_spinlocks
    spin_(bug|dump) rwlock_bug rt_mutex_debug\w* debug_show_\w+ check_preemption_disabled
    debug_smp_processor_id this_cpu_preempt_check val_to_string handle_overflow stack_chk_fail
    fortify_(panic|report) fortify_\w+ usercopy_(abort|warn|warn_on_bad\w*) bad_page(_\w+)?
    dump_page\w* object_err slab_(err|bug|pad_check|fix) check_(bytes|object|slab|pad)\w*
    lockdep_rcu_suspicious rcu_lockdep_\w+ asswarn assfail (btrfs_)?assertfail
    ext4_(warning|error)_\w* kunit_\w*assert\w* skb_(over_|under_)?panic sk_warn_\w+
    netdev_(WARN|printk) refcount_warn_saturate rtnl_notice
    """,
)
TRAPS = Family.of(
    "is how an architecture's trap reaches the report",
    r"""
    exc_\w+ asm_\w+ do_(error_trap|trap\w*|invalid_op|general_protection|divide_error|int3|debug)
    do_(bounds|coprocessor\w*|device_not_available|double_fault|alignment_check|stack_segment)
    invalid_op general_protection divide_error stack_segment alignment_check double_fault int3
    error_(entry|exit|code\w*|return|sti) (async_|trace_)?page_fault handle_bug fixup_bug(\.\w+)?
    handle_invalid_op idtentry_\w+ (trace_)?do_page_fault do_(user|kern)_addr_fault bad_area\w*
    no_context page_fault_oops mm_fault_error kernelmode_fixup_or_oops do_kernel_fault
    spurious_(kernel_)?fault fixup_exception ex_handler_\w+ math_error do_kernel_bp
    do_(mem_abort|translation_fault|sp_pc_abort|tag_check_fault|alignment\w*|tag_recovery|bad)
    do_(bad_area|DataAbort|PrefetchAbort|undefinstr|sect_fault|serror|el[01]_\w+) el[01]\w*_\w+
    arm64_serror_panic bad_el0_sync bad_mode (dabt|pabt|und|fiq)_(svc|usr|invalid)\w* bug
    (kasan|ubsan|cfi|bug|brk|reserved_fault)_(brk_)?handler do_debug_exception call_break_hook
    force_signal_inject ret_from_exception
    handle_(exception|page_fault|break|interruption|unaligned|(adel?|ades|bp|tr|ri|fpe|cpu|tlb\w+)(_int)?)
    do_(bp|tr|tr_or_bp|ri|ade|adel|ale|cpu|fpe|watch|mcheck|reserved|hash_fault|page_fault_\w+)
    tlb_do_page_fault\w* (data|instruction)_access(_\w+)? program_check\w*
    alignment_(common|exception)\w* machine_check\w* exception(_pkey|_new)? emulation_assist\w*
    bad_page_fault interrupt_return\w* hash__do_page_fault do_program_check pgm_check\w*
    do_pgm_check do_(dat|protection|secure_storage\w*)_exception illegal_op
    monitor_event_exception (addressing|specification|data|translation|operand)_exception
    default_trap_handler do_report_trap do_low_address do_(sparc64_fault|sparc_fault|unaligned\w*)
    kernel_unaligned\w* sparc64_realfault_common sun4v_\w+ bad_kernel_pc unhandled_fault
    bad_trap\w* tl0_\w+ user_rtt\w* mem_address_unaligned bad_super_trap trap_c buserr(_c)?
    bus_error\w* access_error\w* send_fault_sig do_ent\w+ ent(Una|MM|Arith|IF|Sys|Int) opDEC_check
    do_(unhandled|illegal_instruction|exception|oops\w*) (kernel|user)_exception
    unhandled_exception segv(_handler)? hard_handler sig_handler\w* relay_signal
    """,
)
CHECKING = Family.of(
    "is a checker's own code between the culprit and the report",
    r"""
    kasan_\w+ asan_\w+ hwasan_\w+ check_memory_region\w* check_region_inline memory_is_\w+
    kmsan_\w+ msan_\w+ kcsan_\w+ tsan_\w+ kfence_\w+ sanitizer_\w+ ubsan_\w+ instrument_\w+
    write_comp_data check_kcov_mode canonicalize_ip
    check_(copy_size|heap_object|bogus_address|stack_object|kernel_text_object|object_size)
    debug_(check|lockdep)_\w+ debug_print_object debug_object\w* debug_check_no_obj_freed
    refcount_\w+ kref_\w+ (free|alloc)_debug_processing on_freelist free_to_partial_list
    slab_free_\w+ setup_object\w* init_object cfi_\w+ handle_cfi_failure\w* report_cfi_failure\w*
    debug_(spin|mutex|rt_mutex|rwlock)_\w+ debug_list_\w+
    """,
)
INJECTING = Family.of(
    "fails an operation on purpose (fault injection)",
    r"\w*should_fail\w* fail_dump fault_create\w* setup_fault_attr should_failslab",
)
THUNKS = Family.of(
    "is a jump pad, a trampoline or padding in front of a function",
    r"""
    x86_indirect_\w+ x86_return_\w+ retpoline_\w+ srso_\w+ retbleed_\w+ entry_untrain_ret
    (pfx|cfi|SCT|SCK|probestub|traceiter)_\w+
    ftrace_(call|caller|stub|regs_\w+|graph_\w*call\w*|trampoline|ops_\w+_func) return_to_handler
    bpf_(trampoline|dispatcher)_\w+ arch_ftrace_ops_\w+ klp_ftrace_handler kretprobe_trampoline\w*
    arch_rethook_\w+ rethook_\w+ trace_event_(raw_event|buffer)_\w+ \w+_veneer call_depth_\w+
    """,
)
RUST = Family.of(
    "is Rust's own way to a panic",
    r"""
    rust_helper_\w+ rust_begin_unwind rust_panic\w* core::(panicking|result|option|cell|slice)::.*
    <core::.* <?alloc::.* kernel::(bug|print)::.* core::.*
    """,
)
# What an address of the code, not of its caller, never is: the end of what a trace has to say.
ENTERING = Family.of(
    "is an entry to the kernel",
    r"""
    (do|entry|ret_from|return_from|system|sysenter|invoke|x64|ia32|tracesys|el0)_?(SYSCALL|SYSENTER|INT80|syscall|sys_call|fork|kernel_thread|fast_syscall|svc|int80|32_irqs)\w*
    entry_\w+ do_(sys|int80|fast_sys|entry_sys)\w*call\w* x64_sys_call ia32_sys_call
    do_fast_syscall_32 ret_(fast|to)_\w+ ret_from_\w+ system_call\w*
    syscall_(call|common|trace\w*) handle_sys(call|32|64|n32)? sys(32|64|n32)_\w+_?(wrapper)?
    linux_sparc_syscall\w* stack_overflow_trap kthread secondary_startup\w* start_secondary
    kernel_thread_(helper|starter) child_rip call_on_\w*stack do_softirq\w* irq_exit\w*
    invoke_softirq handle_softirqs sysenter_\w+ sysret\w* do_syscall_\w+ start_kernel_thread
    """,
)
