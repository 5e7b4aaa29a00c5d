/* SPDX-License-Identifier: GPL-2.0-only */
/* How the workload's program is started. */
#ifndef MMRACE_LAUNCH_H
#define MMRACE_LAUNCH_H

#include "job.h"

/* The scratch directory that the workload begins in; a reproducer's instances have one each there. */
#define LAUNCH_DIR "/tmp"

/*
 * In a child of PID 1: become the workload, with its output to a descriptor. A reproducer's instances
 * are this process's children then, unless there is only one.
 */
_Noreturn void launch(const struct job *job, unsigned long seed, int output);

#endif
