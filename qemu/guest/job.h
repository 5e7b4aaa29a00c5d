/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The job file, written by harness/mmrace/image.py. A line is a key and the rest of the line:
 *
 *   name NAME              of the workload
 *   seconds S              guest time in the race phase, at least
 *   at-most S              the same, at most: for a host that does not say "enough"
 *   announced              the program says "mmrace: race" when its set-up is done
 *   seed N                 MMRACE_SEED of the first iteration
 *   iterations N           at most so many, 0: as the time allows
 *   failures N             stop after so many failed iterations
 *   skip CODE IGNORED      exit code that means "cannot run here", the bits IGNORED set aside
 *   hugepages NODE N       huge pages of 2 MiB
 *   write PATH VALUE       a setting
 *   window NAME TIME PPM HOLDS UNTILS    for the module of qemu/kprobe-delay
 *   arm-at-start           windows are armed from the workload's start to its end, whatever it says
 *   probe NAME FUNCTION[,FUNCTION...] [RETVAL]    the first that the kernel has
 *   probe NAME +PLACE[+PLACE...]                  all of them, as kprobe_events takes places
 *   env NAME=VALUE
 *   arg TEXT               argv, in order
 *   procs N                a reproducer: N instances at once, confined, any of which may run for ever
 *   returns                a reproducer that is to come to an end: one that does not is not ended
 *   uid N                  who a reproducer is
 *   zram                   swap on a compressed RAM disk
 *   shell                  hand over the console instead
 */
#ifndef MMRACE_JOB_H
#define MMRACE_JOB_H

#include <stdbool.h>

#define JOB_LIST 64

struct job {
	const char *name;
	double seconds;
	double at_most;
	bool announced;
	unsigned long seed;
	unsigned long iterations;
	unsigned long failures;
	int skip_code;
	int skip_ignored;
	bool shell;
	unsigned int procs;	/* 0: no reproducer */
	bool returns;
	unsigned int uid;
	bool zram;
	char *argv[JOB_LIST + 1];
	unsigned int args;
	char *env[JOB_LIST];
	unsigned int envs;
	char *probes[JOB_LIST];
	unsigned int probe_count;
	char *windows[JOB_LIST];
	unsigned int window_count;
	bool arm_at_start;
	char *writes[JOB_LIST];
	unsigned int write_count;
	long hugepages[JOB_LIST];	/* by node; -1: not given */
};

/* The job, or NULL with the complaint in *error. Read once: the text stays in static memory. */
const struct job *job_read(const char *path, const char **error);

#endif
