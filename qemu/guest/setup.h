/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest around the workload: file systems, huge pages, settings, the end. */
#ifndef MMRACE_SETUP_H
#define MMRACE_SETUP_H

#include "file.h"
#include "job.h"

/* Where the image has its programs. */
#define WORKLOAD_DIR "/mmrace/bin"

/* Mounts without which nothing can be said, or read. */
void setup_mounts(void);

/* Huge pages, settings and probes of the job. */
void setup_job(const struct job *job);

/* Between iterations: fresh scratch file systems, the pools of huge pages as the job has them. */
void setup_clean(const struct job *job);

/* Name the processes that are left and where in the kernel they are. */
void setup_name_processes(void);

/* Say "Bail out!" and why, then power off. */
__attribute__((format(printf, 1, 2))) _Noreturn void setup_bail(const char *format, ...);

_Noreturn void setup_power_off(void);

#endif
