// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: exec-stack-migration, the way back from an exec that fails.
 *
 * A fix that allocates something for the move of the stack has to undo the rest when it does not
 * get it. A child has allocations fail and execs; which of them goes up from one child to the next,
 * so that each allocation of an exec fails in some child, while another process compacts memory.
 *
 * argv: program, bytes of arguments, way. Needs a kernel with fault injection (mmrace run --config
 * faults).
 */
#include "storm.h"

#include <fcntl.h>

#define SECONDS 2.5
#define FIXED 2			/* arguments before the long ones */
#define ARGUMENTS_MAX 50
#define SMALLEST 64		/* bytes: slab objects of an exec are no smaller, but for a few */
#define REFUSED 10		/* exit code: exec came back with ENOMEM */
#define PATIENCE 2		/* seconds: far beyond an exec */

#define SLAB "/sys/kernel/debug/failslab/"
#define PAGES "/sys/kernel/debug/fail_page_alloc/"

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

static void set_number(const char *path, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	set(path, text);
}

/* The N-th allocation of those that may fail. */
static void fail_nth(int nth)
{
	set_number("/proc/thread-self/fail-nth", nth);
}

/* Two in a row, for code that tries again: what comes after so many bytes. */
static void fail_two(int nth)
{
	set(SLAB "times", "2");
	set_number(SLAB "space", nth * SMALLEST);
	set("/proc/self/make-it-fail", "1");
}

static const struct way {
	const char *name;
	int last;		/* an exec of its size allocates less often */
	bool pages_only;	/* page tables above all: pages of programs cannot fail */
	void (*arm)(int nth);
} ways[] = {
	{ "each", 400, false, fail_nth },
	{ "two", 400, false, fail_two },
	{ "pages", 60, true, fail_nth },
};

static const struct way *find_way(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	stressor_say("no way %s", name);
	exit(STRESSOR_BROKEN);
}

/* Allocations that may wait, too, and single pages. */
static void allow_faults(const struct way *way)
{
	set(SLAB "ignore-gfp-wait", "N");
	set(SLAB "verbose", "0");
	set(SLAB "cache-filter", way->pages_only ? "Y" : "N");
	set(SLAB "task-filter", "Y");
	set(SLAB "interval", "1");
	set(SLAB "probability", way->arm == fail_two ? "100" : "0");
	set(PAGES "ignore-gfp-wait", "N");
	set(PAGES "min-order", "0");
	set(PAGES "verbose", "0");
}

static void compact(struct board *board)
{
	while (!atomic_load(&board->stop)) {
		set("/proc/sys/vm/compact_memory", "1");
		atomic_fetch_add(&board->compactions, 1);
	}
}

static void exec_with_fault(char **argv, const struct way *way, int nth)
{
	/* What fails may be the new program's: a libc without memory for its start waits for ever. */
	alarm(PATIENCE);
	way->arm(nth);
	execv("/proc/self/exe", argv);
	_exit(errno == ENOMEM ? REFUSED : STRESSOR_BROKEN);
}

static pid_t start_compaction(struct board *board)
{
	pid_t pid = stressor_spawn(0);

	if (!pid) {
		compact(board);
		_exit(STRESSOR_HELD);
	}
	return pid;
}

int main(int argc, char **argv)
{
	char *long_argv[FIXED + ARGUMENTS_MAX + 1] = { "exec-faults", "done" };
	unsigned long bytes, done = 0, refused = 0, killed = 0;
	const struct way *way;
	struct board *board;
	pid_t compactor, pid;
	double end;
	int status, nth;

	if (argc > 1 && !strcmp(argv[1], "done"))
		return STRESSOR_HELD;
	bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	if (!bytes || bytes > ARGUMENT * ARGUMENTS_MAX)
		stressor_broken("bytes of arguments");
	make_arguments(long_argv + FIXED, bytes);
	way = find_way(argc > 2 ? argv[2] : "each");
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED)
		stressor_broken("mmap of the board");
	limit_stack(32 << 20);
	allow_faults(way);
	compactor = start_compaction(board);
	stressor_race();
	end = stressor_now() + SECONDS;
	for (nth = 0; nth < way->last || stressor_now() < end; nth++) {
		pid = stressor_spawn(1);
		if (!pid)
			exec_with_fault(long_argv, way, 1 + nth % way->last);
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
