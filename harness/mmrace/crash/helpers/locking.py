# SPDX-License-Identifier: GPL-2.0-only
"""What takes, waits, wakes, schedules and ticks for others."""

from mmrace.crash.helpers.names import Family

LOCKING = Family.of(
    "takes or gives a lock for its caller",
    r"""
    raw_(spin|read|write)_\w+ (spin|read|write)_(try)?(un)?lock\w* do_raw_\w+ spin_\w+ pv_\w+
    (native_)?queued_\w+ osq_\w+ bad_spinlock mutex_(lock|unlock|trylock|optimistic)\w*
    mutex_\w*spin\w* rt_mutex_\w+ rt_(spin|read|write)_\w+ ww_mutex_\w+ __ww_\w+ down(_\w+)?
    up(_(read|write)\w*)? rwsem_\w+ call_rwsem_\w+ rwbase_\w+ percpu_(down|up)_\w+
    percpu_\w+sem\w* bit_spin_\w+ (task|local)_(un)?lock\w*
    lock_(acquire|acquired|release|is_held\w*|contended|pin\w*|unpin\w*|downgrade)\w* lockdep_\w+
    lock_(set_class|chain_\w+) mark_(lock|held_locks|usage|lock_irq\w*) lock_release\w*
    check_(prev|prevs|deadlock|noncircular|irq|usage|wait|path|chain|lock|flags|no_locks)\w*
    bfs\w* validate_chain register_lock_class look_up_lock_class valid_state find_usage\w*
    (raw_)?local_irq_\w+ arch_local_\w+ (trace_|lockdep_)?(hard|soft)irqs_\w+
    (trace_)?preempt_(count|latency|schedule)_?\w* (rcu_)?(read|dynticks|eqs|irq|nmi)_(un)?lock\w*
    rcu_lock_\w+ rcu_read_(un)?lock\w* (seq|write_seq|read_seq)\w*(begin|retry|lock|unlock)\w*
    class_\w+_(con|de)structor reacquire_held_locks local_bh_\w+ cpus?_read_(un)?lock
    trace_(hard|soft)irqs_\w+
    """,
)
SIGNALLING = Family.of(
    "completes, wakes, queues or waits for its caller",
    r"""
    complete(_all|_on_current_cpu)? complete_with_flags do_wait_for_common
    wait_for_(common|completion)\w* completion_done try_wait_for_completion (lock|release)_sock\w*
    lock_sock_\w+ sk_(un)?lock\w* sk_wait_\w+ wake_up(_\w+)? swake_up\w*
    (auto|default|woken)_?(remove)?_?wake_function try_to_wake_up (add|remove)_wait_queue\w*
    finish_(s?wait|rcuwait) prepare_to_\w*wait\w* rcuwait_\w+ ttwu_\w+ wake_q_add\w* wake_function
    (lock|debug)_timer\w* (mod|add|del|try_to_del|detach|init)_timer\w*
    timer_(delete|shutdown|reduce)\w* (try_to_)?del_timer\w* try_to_timer_\w+ internal_add_timer
    enqueue_timer detach_(if_pending|expired_timer)
    hrtimer_(start|cancel|try_to_cancel|forward|init|setup|active|reprogram)\w*
    (en|de)queue_hrtimer remove_hrtimer timerqueue_\w+
    queue_(work|delayed_work|rcu_work|io_work)\w* (mod|queue)_delayed_work\w* insert_work
    schedule_(delayed_)?work\w* get_work_p\w+ cancel_\w*work\w* flush_(delayed_|rcu_)?work\w*
    start_flush_work\w* flush_(workqueue|scheduled_work) drain_workqueue destroy_workqueue
    try_to_grab_pending work_grab_pending tasklet_(kill|schedule\w*|init|setup|unlock\w*)
    kthread_(stop|park|unpark|flush|cancel|queue|delayed_work|mod)\w* irq_work_(queue|sync)\w*
    (call|kvfree_call)_rcu\w* rcu_segcblist\w* \w+_is_static_object
    """,
)
WAITING = Family.of(
    "gives the CPU away until something comes",
    r"""
    context_switch schedule(_\w+)? sched_text_start preempt_schedule\w* io_schedule\w*
    switch_to\w* (out_of_line_)?wait_on_bit\w* bit_wait\w* cond_resched\w* might_resched
    pick_next_task\w* (en|de)queue_(task|entity)\w* finish_task_switch\w* balance_\w+
    newidle_balance
    """,
)
BLOCKING = Family.of(
    "is where a task stands that no longer goes on, whatever it wants",
    r"""
    \w*sched(ule)?(_\w+)? \w*wait\w* \w*completion\w* \w*synchronize\w* \w+_lock(_\w+)?
    \w*slowlock\w* \w*slowpath\w* (\w+_)?down(_\w+)? kthread\w* rcu_barrier\w* (un)?lock_page\w*
    refrigerator\w* freezer_\w+
    """,
)
IDLE = Family.of(
    "is a CPU that has nothing to do",
    r"""
    (default|arch_cpu|cpuidle|acpi|intel|mwait|amd_e400|poll|cpu_do|native|do|cpu|psci|tick_nohz)_\w*idle\w*
    (pv_)?native_\w*safe_halt arch_\w*safe_halt mwait\w* cpuidle_\w+ call_cpuidle
    cpu_startup_entry (xen_)?safe_halt rest_init (x86_64_)?start_(kernel|secondary)\w*
    cpu_bringup_and_idle secondary_start_kernel x86_64_start_\w+ arch_call_rest_init
    common_startup_64 do_idle
    """,
)
TICKING = Family.of(
    "is the tick or the NMI that found the CPU, and what asks other CPUs",
    r"""
    rcu_\w+ (\w+_)?hrtimer_\w+ tick_\w+ update_(process_times|wall_time|rq_clock)\w*
    (sched|scheduler)_tick task_tick_\w+ \w*sysvec_\w+ (\w+_)?apic_timer_\w+ smp_\w*apic\w*
    local_apic_timer_interrupt \w*nmi_\w+ (arch_)?trigger_\w+ watchdog_\w+ is_softlockup
    lockup_\w+ print_other_cpu_stall check_cpu_stall perf_(event_)?nmi\w* intel_pmu_\w+
    end_repeat_nmi nmi timekeeping_\w+ native_\w+ flush_smp_call\w* csd_lock\w* csd_\w+
    on_each_cpu\w* flush_tlb_\w+ arch_tlbbatch_flush (gic|arch_timer|armv8_timer)_\w+
    handle_(percpu|fasteoi|domain|edge|level|irq)\w* generic_handle_\w+ do_interrupt_handler
    ipi_\w+ (do_)?handle_IPI call_irq_handler el1h?_\w*irq\w* (irq|fiq)_(svc|usr)\w* asm_do_IRQ
    handle_IRQ
    (local_|hv_|xen_|riscv_|c0_compare_|constant_|r4k_|timer_|decrementer_|m5_)?timer_interrupt
    (arch|arch_sys|armv8|sched_clock|hv_stimer\d?|jcore)_timer_(handler|isr)\w* restore_\w*irq\w*
    \w*replay_soft_interrupts\w* decrementer_\w+ cpu_(do_idle|relax\w*|poll) irq_work_\w+
    \w+_irq_entry common_interrupt ret_from_intr do_IRQ call_timer_fn\w* kvm_(wait|kick_cpu)
    rep_nop profile_tick run_local_timers do_tick irq_enter\w* delay_\w+
    (ndelay|udelay|const_udelay)
    """,
)
