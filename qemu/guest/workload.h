/* SPDX-License-Identifier: GPL-2.0-only */
/* The workload's loop, and what it leaves behind. */
#ifndef MMRACE_WORKLOAD_H
#define MMRACE_WORKLOAD_H

#include "job.h"

/* Run until the time is spent; the number of iterations that were reported. */
unsigned long workload_loop(const struct job *job);

/* Execute it once more to say what it asked for in vain, when it is over. */
void workload_trace(const struct job *job);

/* The interactive shell on the console, until it ends. 0, or -1 with errno. */
int workload_shell(void);

#endif
