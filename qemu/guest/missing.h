/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program asked for that this guest does not have: one execution, traced with ptrace(2), ended
 * after MISSING_SECONDS at most. Of what a program's first seconds ask, with an absolute path or a
 * number; a program that looks for something else on a failure, or is traced already, tells less.
 */
#ifndef MMRACE_MISSING_H
#define MMRACE_MISSING_H

#include "job.h"

#define MISSING_SECONDS 2.0

/*
 * In a child of PID 1: execute the workload once more, and say a line "# missed TEXT" for each thing
 * that was not there.
 */
_Noreturn void missing_trace(const struct job *job, unsigned long seed, int output);

#endif
