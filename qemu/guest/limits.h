/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What keeps PID 1 at work beside a program that forks for ever, never sleeps or takes all memory.
 * A program that runs real-time threads of the highest priority on all CPUs still starves it.
 */
#ifndef MMRACE_LIMITS_H
#define MMRACE_LIMITS_H

/* Of PID 1 itself, and the group that the program's processes are to enter. */
void limits_set(void);

/* Put the calling process under the limits. */
void limits_enter(void);

#endif
