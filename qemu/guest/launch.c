// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "launch.h"
#include "limits.h"

#define FAILED_TO_SET_UP 126
#define NO_PROGRAM 127

_Noreturn static void fail(const char *what, int code)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(code);
}

static void set_environment(const struct job *job, unsigned long seed)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", seed);
	setenv("MMRACE_SEED", text, 1);
	for (unsigned int i = 0; i < job->envs; i++)
		putenv(job->env[i]);
}

/* capget(2)'s structures, which are in no header of the C library. */
struct capabilities {
	uint32_t effective, permitted, inheritable;
};

/* Else reboot(2) by a program that tries every system call would end the machine. */
static void drop_reboot(void)
{
	const uint32_t version = 0x20080522, reboot = 22;	/* the third, CAP_SYS_BOOT */
	struct { uint32_t version; int pid; } header = { .version = version };
	struct capabilities sets[2];

	prctl(PR_CAPBSET_DROP, reboot, 0, 0, 0);
	if (syscall(SYS_capget, &header, sets))
		return;
	sets[0].effective &= ~(1U << reboot);
	sets[0].permitted &= ~(1U << reboot);
	sets[0].inheritable &= ~(1U << reboot);
	syscall(SYS_capset, &header, sets);
}

static void become_user(const struct job *job)
{
	if (setgroups(0, NULL) || setgid(job->uid) || setuid(job->uid))
		fail("cannot become the user", FAILED_TO_SET_UP);
}

/* One instance: a session and directory of its own, and mounts that nobody else sees. */
_Noreturn static void instance(const struct job *job, unsigned int number)
{
	char path[sizeof(LAUNCH_DIR) + 16], text[16];

	setsid();
	file_write("/proc/self/oom_score_adj", "0");
	limits_enter();
	if (!unshare(CLONE_NEWNS))
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(path, sizeof(path), LAUNCH_DIR "/%u", number);
	snprintf(text, sizeof(text), "%u", number);
	setenv("MMRACE_PROC", text, 1);
	mkdir(path, 0777);
	if (chmod(path, 0777) || chdir(path))
		fail(path, FAILED_TO_SET_UP);
	drop_reboot();
	if (job->uid)
		become_user(job);
	execvp(job->argv[0], job->argv);
	fail(job->argv[0], NO_PROGRAM);
}

/* Wait for all instances, and end as the first of them that did not end with 0. */
_Noreturn static void supervise(const struct job *job)
{
	int status, first = 0;

	for (unsigned int number = 0; number < job->procs; number++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork", FAILED_TO_SET_UP);
		if (!pid)
			instance(job, number);
	}
	while (wait(&status) > 0)
		first = first ? first : status;
	if (WIFSIGNALED(first)) {
		signal(WTERMSIG(first), SIG_DFL);
		raise(WTERMSIG(first));
	}
	_exit(WEXITSTATUS(first));
}

_Noreturn void launch(const struct job *job, unsigned long seed, int output)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_environment(job, seed);
	if (job->procs > 1)
		supervise(job);
	file_write("/proc/self/oom_score_adj", "0");
	if (job->procs)
		instance(job, 0);
	if (chdir(LAUNCH_DIR))
		_exit(FAILED_TO_SET_UP);
	execvp(job->argv[0], job->argv);
	fail(job->argv[0], NO_PROGRAM);
}
