/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's own counters: /proc/vmstat since the start, kprobe events, invariants. */
#ifndef MMRACE_COUNTER_H
#define MMRACE_COUNTER_H

/* The zero that vmstat's counters are told from. */
void counter_begin(void);

/* Say all counters that have changed since they were last said. */
void counter_say(void);

struct invariants {
	long hugepages_free;
	long hugepages_rsvd;
	long isolated;
};

struct invariants invariants_read(void);
void invariants_say(const struct invariants *now);

/* Wait a few seconds for what frees late; the values at the end, the same as before or not. */
struct invariants invariants_settle(const struct invariants *before);

#endif
