// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "launch.h"
#include "missing.h"

#define THINGS 16
#define STOP_OF_CALL (SIGTRAP | 0x80)
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
		 PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)

/* System calls that a kernel's config can leave out. */
static const struct {
	long number;
	const char *name;
} optional[] = {
	{ SYS_add_key, "add_key" },
	{ SYS_bpf, "bpf" },
	{ SYS_fanotify_init, "fanotify_init" },
	{ SYS_inotify_init1, "inotify_init1" },
	{ SYS_io_uring_setup, "io_uring_setup" },
	{ SYS_kcmp, "kcmp" },
	{ SYS_keyctl, "keyctl" },
	{ SYS_memfd_create, "memfd_create" },
	{ SYS_mq_open, "mq_open" },
	{ SYS_perf_event_open, "perf_event_open" },
	{ SYS_quotactl, "quotactl" },
	{ SYS_request_key, "request_key" },
	{ SYS_seccomp, "seccomp" },
	{ SYS_swapon, "swapon" },
	{ SYS_userfaultfd, "userfaultfd" },
};

static char *said[THINGS];
static unsigned int count;

static const char *name_of(int error)
{
	switch (error) {
	case ENOENT: return "ENOENT";
	case ENODEV: return "ENODEV";
	case ENXIO: return "ENXIO";
	case ENOSYS: return "ENOSYS";
	case ENOMEM: return "ENOMEM";
	case EOPNOTSUPP: return "EOPNOTSUPP";
	case EAFNOSUPPORT: return "EAFNOSUPPORT";
	case EPROTONOSUPPORT: return "EPROTONOSUPPORT";
	case ESOCKTNOSUPPORT: return "ESOCKTNOSUPPORT";
	}
	return NULL;
}

/* Each thing once, whoever asks for it. */
static void say(const char *what, const char *error)
{
	char *line;

	if (count == THINGS || asprintf(&line, "%s: %s", what, error) < 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(said[i], line))
			return free(line);
	said[count++] = line;
	channel_quote("# missed ", line, strlen(line));
}

/* A string in another process; false where there is none. */
static bool text_at(pid_t pid, unsigned long address, char *buffer, size_t size)
{
	struct iovec here = { buffer, size - 1 };
	struct iovec there = { (void *)address, size - 1 };
	ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);

	if (got <= 0) {
		/* It may end within its page. */
		there.iov_len = here.iov_len = 4096 - address % 4096;
		if (there.iov_len >= size)
			return false;
		got = process_vm_readv(pid, &here, 1, &there, 1, 0);
	}
	if (got <= 0)
		return false;
	buffer[got] = '\0';
	return true;
}

static void say_path(pid_t pid, const char *call, unsigned long address, const char *error)
{
	char path[96], what[128];

	/* Programs look for relative names before they make them. */
	if (!text_at(pid, address, path, sizeof(path)) || *path != '/')
		return;
	snprintf(what, sizeof(what), "%s %s", call, path);
	say(what, error);
}

static void say_file_system(pid_t pid, unsigned long address, const char *error)
{
	char type[48], what[64];

	if (!text_at(pid, address, type, sizeof(type)))
		return;
	snprintf(what, sizeof(what), "mount %s", type);
	say(what, error);
}

static void say_optional(long number, const char *error)
{
	char what[48];

	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
		if (optional[i].number == number)
			return say(optional[i].name, error);
	snprintf(what, sizeof(what), "system call %ld", number);
	say(what, error);
}

/* A call that came back: its number and arguments are still in the registers. */
static void look(pid_t pid, const struct user_regs_struct *regs)
{
	int number = -(long)regs->rax;
	const char *error = name_of(number);
	char what[64];

	if (!error)
		return;
	switch (regs->orig_rax) {
	case SYS_open:
		return say_path(pid, "open", regs->rdi, error);
	case SYS_openat:
		return say_path(pid, "open", regs->rsi, error);
	case SYS_execve:
		return say_path(pid, "exec", regs->rdi, error);
	case SYS_mount:
		if (number == ENODEV)
			say_file_system(pid, regs->rdx, error);
		return;
	case SYS_socket:
		snprintf(what, sizeof(what), "socket(%d, %d, %d)", (int)regs->rdi, (int)regs->rsi,
			 (int)regs->rdx);
		return say(what, error);
	case SYS_mmap:
		if (number == ENOMEM && regs->r10 & MAP_HUGETLB)
			say("mmap of huge pages", error);
		return;
	}
	if (number == ENOSYS)
		say_optional(regs->orig_rax, error);
}

/* On its way in a call has ENOSYS for a result; kernels before v5.3 do not tell the ways apart. */
static bool returned(pid_t pid, const struct user_regs_struct *regs)
{
	struct __ptrace_syscall_info info;
	long done = ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info);

	if (done > 0)
		return info.op == PTRACE_SYSCALL_INFO_EXIT;
	return (long)regs->rax != -ENOSYS;
}

/* Let a stopped task go on; the signal that stopped it is delivered unless it is the tracer's. */
static void go_on(pid_t pid, int status)
{
	struct user_regs_struct regs;
	int stop = WSTOPSIG(status);
	long deliver = stop;

	if (stop == STOP_OF_CALL) {
		if (!ptrace(PTRACE_GETREGS, pid, NULL, &regs) && returned(pid, &regs))
			look(pid, &regs);
		deliver = 0;
	} else if (status >> 16 || stop == SIGSTOP || stop == SIGTRAP) {
		deliver = 0;
	}
	ptrace(PTRACE_SYSCALL, pid, NULL, (void *)deliver);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void follow(pid_t main_process)
{
	const struct timespec moment = { .tv_nsec = 500 * 1000 };
	double end = now() + MISSING_SECONDS;

	while (now() < end) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);

		if (pid < 0)
			return;
		if (!pid)
			nanosleep(&moment, NULL);
		else if (WIFSTOPPED(status))
			go_on(pid, status);
		else if (pid == main_process)
			return;
	}
}

void missing_trace(const struct job *job, unsigned long seed, int output)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		launch(job, seed, output);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) &&
	    !ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)OPTIONS) &&
	    !ptrace(PTRACE_SYSCALL, pid, NULL, NULL))
		follow(pid);
	_exit(0);
}
