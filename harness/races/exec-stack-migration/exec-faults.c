// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: exec-stack-migration, the way back from an exec that fails.
 *
 * A fix that allocates something for the move of the stack has to undo the rest when it does not
 * get it. A child has its N-th allocation fail and execs; N goes up from one child to the next, so
 * that each allocation of an exec fails in some child, while another process compacts memory.
 *
 * Needs a kernel with fault injection (mmrace run --config faults).
 */
#include "stressor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SECONDS 2.5
#define ARGUMENT 60000UL	/* some pages to move */
#define LAST 400		/* an exec of this size allocates less often */
#define REFUSED 10		/* exit code: exec came back with ENOMEM */

struct board {
	atomic_ulong compactions;
	atomic_bool stop;
};

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0) {
		stressor_say("%s: %s: a kernel without fault injection", path, strerror(errno));
		exit(STRESSOR_SKIP);
	}
	if (write(fd, value, strlen(value)) < 0)
		stressor_broken(path);
	close(fd);
}

/* Allocations that may wait, too, and single pages. */
static void allow_faults(void)
{
	set("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	set("/sys/kernel/debug/failslab/verbose", "0");
	set("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	set("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	set("/sys/kernel/debug/fail_page_alloc/verbose", "0");
}

static void compact(struct board *board)
{
	while (!atomic_load(&board->stop)) {
		set("/proc/sys/vm/compact_memory", "1");
		atomic_fetch_add(&board->compactions, 1);
	}
}

static void exec_with_fault(char *argument, int nth)
{
	char *argv[] = { "exec-faults", "done", argument, NULL };
	char number[16];

	snprintf(number, sizeof(number), "%d", nth);
	set("/proc/thread-self/fail-nth", number);
	execv("/proc/self/exe", argv);
	_exit(errno == ENOMEM ? REFUSED : STRESSOR_BROKEN);
}

int main(int argc, char **argv)
{
	const struct rlimit stack = { 8 << 20, RLIM_INFINITY };
	unsigned long done = 0, refused = 0, killed = 0;
	char *argument = malloc(ARGUMENT);
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t compactor, pid;
	double end;
	int status, nth;

	if (argc > 1 && !strcmp(argv[1], "done"))
		return STRESSOR_HELD;
	if (!argument || board == MAP_FAILED || setrlimit(RLIMIT_STACK, &stack))
		stressor_broken("set-up");
	memset(argument, 'a', ARGUMENT - 1);
	argument[ARGUMENT - 1] = '\0';
	allow_faults();
	compactor = stressor_spawn(0);
	if (!compactor) {
		compact(board);
		_exit(STRESSOR_HELD);
	}
	stressor_race();
	end = stressor_now() + SECONDS;
	for (nth = 1; nth <= LAST || stressor_now() < end; nth++) {
		pid = stressor_spawn(1);
		if (!pid)
			exec_with_fault(argument, 1 + nth % LAST);
		if (waitpid(pid, &status, 0) != pid)
			stressor_broken("waitpid");
		if (WIFSIGNALED(status))
			killed++;
		else if (WEXITSTATUS(status) == REFUSED)
			refused++;
		else if (!WEXITSTATUS(status))
			done++;
	}
	atomic_store(&board->stop, true);
	if (waitpid(compactor, &status, 0) != compactor || status)
		stressor_broken("compaction");
	stressor_count("done", done);
	stressor_count("refused", refused);
	stressor_count("killed", killed);
	stressor_count("compactions", atomic_load(&board->compactions));
	return STRESSOR_HELD;
}
