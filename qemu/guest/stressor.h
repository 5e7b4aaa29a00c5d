/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a stressor says to PID 1, one line each on standard output:
 *
 *   mmrace: race            set-up is done, from here on it may be steered
 *   mmrace: count NAME N    a counter of this process, absolute, monotonic
 *   mmrace: fail TEXT       the race was seen; the program then exits with 1
 *
 * Exit codes: 0 held, 1 the race was seen, 2 broken (set-up failed), 4 cannot run here.
 */
#ifndef MMRACE_STRESSOR_H
#define MMRACE_STRESSOR_H

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STRESSOR_HELD = 0, STRESSOR_SEEN = 1, STRESSOR_BROKEN = 2, STRESSOR_SKIP = 4 };

/* One write(2) a line: threads and children share the pipe to PID 1. */
static inline void stressor_say(const char *format, ...)
{
	char line[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	if (write(STDOUT_FILENO, line, length) < 0)
		_exit(STRESSOR_BROKEN);
}

/* Whoever steers has to hear of it before anything happens that can be steered. */
static inline void stressor_race(void)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };

	stressor_say("mmrace: race");
	nanosleep(&moment, NULL);
}

static inline void stressor_count(const char *name, unsigned long value)
{
	stressor_say("mmrace: count %s %lu", name, value);
}

static inline void stressor_broken(const char *what)
{
	stressor_say("broken: %s: %s", what, strerror(errno));
	exit(STRESSOR_BROKEN);
}

/* Seed of this iteration: PID 1 hands down --seed plus the iteration's number. */
static inline unsigned int stressor_seed(void)
{
	const char *text = getenv("MMRACE_SEED");

	return text ? strtoul(text, NULL, 10) : 1;
}

static inline double stressor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/*
 * True twice a second: time to say the counters. The host ends a run once they have reached their
 * min counts, and a guest that crashes says nothing at its end.
 */
static inline bool stressor_due(void)
{
	static double next;
	double now = stressor_now();
	bool due = next && now >= next;

	if (due || !next)
		next = now + 0.5;
	return due;
}

/* Sleep until a moment, and say the counters of WHAT meanwhile. */
static inline void stressor_watch(double end, void (*say)(void *what), void *what)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	while (stressor_now() < end) {
		nanosleep(&pause, NULL);
		if (stressor_due())
			say(what);
	}
}

/*
 * A random rest between two rounds, up to the milliseconds that the workload's STRESSOR_REST says;
 * none where it says nothing. For schedules: parties that rest seldom meet of themselves.
 */
static inline void stressor_rest(void)
{
	static long longest = -1;	/* nanoseconds */
	struct timespec rest;

	if (longest < 0) {
		const char *text = getenv("STRESSOR_REST");

		longest = text ? strtol(text, NULL, 10) * 1000000 : 0;
	}
	if (!longest)
		return;
	clock_gettime(CLOCK_MONOTONIC, &rest);
	rest = (struct timespec){ .tv_nsec = rest.tv_nsec % longest };
	nanosleep(&rest, NULL);
}

/* On a machine with a single CPU all share that one. */
static inline void stressor_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		stressor_broken("sched_setaffinity");
}

/* A child on one CPU, which does not outlive its parent; returns as fork() does. */
static inline pid_t stressor_spawn(int cpu)
{
	pid_t pid = fork();

	if (pid < 0)
		stressor_broken("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stressor_pin(cpu);
	}
	return pid;
}

/* The worst end of the children: a signal is none that they send each other. */
static inline int stressor_reap(void)
{
	int status, result = STRESSOR_HELD;

	while (wait(&status) > 0) {
		if (WIFSIGNALED(status)) {
			stressor_say("broken: a process died of signal %d", WTERMSIG(status));
			result = STRESSOR_BROKEN;
		} else if (WEXITSTATUS(status)) {
			result = WEXITSTATUS(status);
		}
	}
	return result;
}

#endif
