// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "counter.h"
#include "delay.h"
#include "launch.h"
#include "missing.h"
#include "output.h"
#include "setup.h"
#include "workload.h"

#define PERIOD 1.0
#define EARLY 0.1
#define ALIVE 5.0
#define SETUP 3.0	/* all time of a run over its time in the race phase, at most */
#define GRACE 2.0	/* from SIGTERM to SIGKILL */
#define STUCK 5.0	/* from SIGKILL until the processes that stay are named */

/* An iteration: its main process, what is known of it, when what is due. */
struct iteration {
	pid_t pid;
	int output;
	double begun, ended;	/* ended: 0 while the main process runs */
	double raced;		/* its race phase began then; 0: not yet */
	bool may_cut;		/* when the run has its proof */
	double cut_at;		/* in any case; 0: never */
	double killed;		/* SIGKILL was sent then */
	double terminated;	/* SIGTERM was sent then */
	bool named;		/* the processes that stay have been named */
	bool quiet;		/* may say nothing for as long as it likes */
	bool early;		/* counters are wanted from a kernel that fails at once */
	int status;
};

/* All iterations of the run that are over, in seconds: in their race phases, and at all. */
struct spent {
	double raced, worked;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void nothing(int number)
{
	(void)number;
}

/* Does not return. */
typedef void start_fn(const struct job *job, unsigned long seed, int output);

static int spawn(const struct job *job, unsigned long seed, struct iteration *it, start_fn *start)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	output_begin();
	it->begun = now();
	it->raced = job->announced ? 0 : it->begun;
	it->pid = fork();
	if (!it->pid)
		start(job, seed, ends[1]);
	close(ends[1]);
	it->output = ends[0];
	if (it->pid < 0) {
		close(ends[0]);
		return -1;
	}
	fcntl(it->output, F_SETFL, O_NONBLOCK);
	return 0;
}

static void drain(struct iteration *it)
{
	char buffer[16384];
	ssize_t got;

	/* Bounded, so that a program which only prints cannot keep PID 1 from all else. */
	for (int i = 0; i < 16; i++) {
		got = read(it->output, buffer, sizeof(buffer));
		if (got <= 0)
			return;
		output_feed(buffer, got);
		if (!it->raced && output_raced())
			it->raced = now();
	}
}

/* Seconds of an iteration in its race phase, until a moment. */
static double in_race(const struct iteration *it, double moment)
{
	return it->raced && moment > it->raced ? moment - it->raced : 0;
}

/*
 * The run has its proof, or all the time that there is for it. The host counts what was exercised:
 * its word is awaited, but no longer than the job allows. Where set-up is slow, on a busy host, it
 * has its own time; a program that never comes to its race phase ends all the same.
 */
static bool is_over(const struct job *job, const struct spent *spent)
{
	if (spent->raced >= job->at_most || spent->worked >= SETUP * job->at_most)
		return true;
	return channel_enough() && spent->raced >= job->seconds;
}

/* The same while an iteration goes on. */
static bool is_due(const struct job *job, const struct spent *spent, const struct iteration *it)
{
	double time = now();
	struct spent until = {
		.raced = spent->raced + in_race(it, time),
		.worked = spent->worked + time - it->begun,
	};

	if (it->cut_at && time >= it->cut_at)
		return true;
	return it->may_cut && is_over(job, &until);
}

/* Every process that is not PID 1 belongs to the workload. */
static void kill_all(struct iteration *it, int number)
{
	kill(-1, number);
	if (number == SIGKILL)
		it->killed = now();
	else
		it->terminated = now();
}

/* Collect the dead; false when nobody is left. */
static bool reap(struct iteration *it)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != it->pid)
			continue;
		it->status = status;
		it->ended = now();
	}
	return !pid;
}

static void push(struct iteration *it, bool due)
{
	double time = now();

	if (it->ended && !it->killed)
		kill_all(it, SIGKILL);
	else if (due && !it->ended && !it->terminated)
		kill_all(it, SIGTERM);
	else if (it->terminated && !it->killed && time >= it->terminated + GRACE)
		kill_all(it, SIGKILL);
	else if (it->killed && !it->named && time >= it->killed + STUCK) {
		it->named = true;
		setup_name_processes();
	}
}

/* Seconds until the counters are said again: soon at first, then as seldom as of others. */
static double period(const struct iteration *it)
{
	double age = now() - it->begun;

	if (!it->early || age > PERIOD)
		return PERIOD;
	return age > EARLY ? age : EARLY;
}

/*
 * See the iteration to its end. Processes that SIGKILL does not end are waited for: the host
 * calls it a hang.
 */
static void watch(const struct job *job, const struct spent *spent, struct iteration *it)
{
	const struct timespec step = { .tv_nsec = 100 * 1000 * 1000 };
	double next = it->begun + period(it), alive = it->begun + ALIVE;
	struct pollfd inputs[] = {
		{ .fd = it->output, .events = POLLIN },
		{ .fd = channel_input(), .events = POLLIN },
	};
	sigset_t none;

	sigemptyset(&none);
	while (reap(it)) {
		push(it, is_due(job, spent, it));
		if (ppoll(inputs, 2, &step, &none) > 0) {
			drain(it);
			if (inputs[0].revents & POLLHUP && !(inputs[0].revents & POLLIN))
				inputs[0].fd = -1;
			if (inputs[1].revents & POLLIN)
				channel_hear();
			else if (inputs[1].revents)
				inputs[1].fd = -1;
		}
		if (it->quiet && !it->killed && now() >= alive) {
			channel_say("# alive");
			alive = now() + ALIVE;
		}
		if (now() >= next) {
			output_period();
			counter_say();
			next = now() + period(it);
		}
	}
	drain(it);
	close(it->output);
	output_end();
	counter_say();
}

static bool skipped(const struct job *job, int status)
{
	return WIFEXITED(status) && job->skip_code >= 0 &&
	       (WEXITSTATUS(status) & ~job->skip_ignored) == job->skip_code;
}

static void say_result(const struct job *job, unsigned long number, const struct iteration *it)
{
	const char *kind = WIFSIGNALED(it->status) ? "signal" : "exit";
	int code = WIFSIGNALED(it->status) ? WTERMSIG(it->status) : WEXITSTATUS(it->status);
	bool skip = skipped(job, it->status);
	double seconds = it->ended - it->begun, raced = in_race(it, it->ended);

	if (it->status && !skip)
		channel_say("not ok %lu - %s # %s=%d seconds=%.2f raced=%.2f", number, job->name,
			    kind, code, seconds, raced);
	else
		channel_say("ok %lu - %s # %s%s=%d seconds=%.2f raced=%.2f", number, job->name,
			    skip ? "SKIP " : "", kind, code, seconds, raced);
}

void workload_trace(const struct job *job)
{
	const struct spent unspent = { 0 };
	struct iteration it = { .quiet = true };

	if (spawn(job, job->seed, &it, missing_trace))
		return;
	it.cut_at = it.begun + 2 * MISSING_SECONDS;
	watch(job, &unspent, &it);
	setup_clean(job);
}

unsigned long workload_loop(const struct job *job)
{
	unsigned long reported = 0, failures = 0;
	struct spent spent = { 0 };
	sigset_t child_mask;

	signal(SIGCHLD, nothing);
	sigemptyset(&child_mask);
	sigaddset(&child_mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_mask, NULL);
	channel_say("# start %s", job->name);
	delay_arm(job->arm_at_start);
	do {
		struct iteration it = { 0 };

		if (spawn(job, job->seed + reported, &it, launch))
			setup_bail("cannot start the workload: %s", strerror(errno));
		it.quiet = job->procs && !job->returns;
		it.early = job->procs;
		/* A program that comes to an end says at it what it has seen: let it once. */
		it.may_cut = reported || it.quiet;
		watch(job, &spent, &it);
		if (!job->arm_at_start)
			delay_arm(false);
		spent.worked += it.ended - it.begun;
		spent.raced += in_race(&it, it.ended);
		setup_clean(job);
		if (it.terminated) {
			channel_say("# cut seconds=%.2f raced=%.2f", it.ended - it.begun,
				    in_race(&it, it.terminated));
			break;
		}
		say_result(job, ++reported, &it);
		if (skipped(job, it.status))
			break;
		failures += it.status != 0;
	} while (failures < job->failures && !is_over(job, &spent) &&
		 (!job->iterations || reported < job->iterations));
	delay_arm(false);
	return reported;
}

int workload_shell(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		int terminal;

		setsid();
		terminal = open("/dev/ttyS0", O_RDWR);
		if (terminal < 0)
			terminal = open("/dev/console", O_RDWR);
		ioctl(terminal, TIOCSCTTY, 1);
		for (int fd = 0; fd < 3; fd++)
			dup2(terminal, fd);
		execl("/bin/busybox", "sh", "-l", NULL);
		_exit(127);
	}
	while (waitpid(-1, &status, 0) != pid)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}
