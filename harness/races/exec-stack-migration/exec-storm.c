// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: exec-stack-migration, fixed by commit a8bef8ff6ea1 (v2.6.35).
 *
 * exec fills the new stack in a temporary VMA at the top of the address space and then shifts it
 * to its random place: first the VMA, then its page tables. Migration that has put its entries in
 * before looks for them at the new addresses, does not find them, and leaves them behind.
 *
 * CPU 1: processes that exec themselves again and again, with 1 to 2 MB of arguments.
 * CPU 0: one process compacts all memory, one moves the pages that it finds where a stack is
 * before its shift to the other node.
 *
 * exec-storm [STORMS]: how many such processes, 3 if nothing else is said. With 1 there is no
 * compaction either: whatever is moved then is of the one stack that there is.
 */
#include "stressor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECONDS 2.5
#define STORMS 3		/* at most */
#define PAGE 4096UL
#define ARGUMENT 120000		/* below the kernel's limit of 128 KiB a string */
#define ARGUMENTS_MIN 9
#define ARGUMENTS_MAX 15
#define SWEEP 128		/* pages below the top that one move_pages(2) asks for */
#define MPOL_MF_MOVE 2

/* Shared by all processes; its descriptor survives exec. */
struct board {
	atomic_ulong execs;
	atomic_ulong shifted;
	atomic_ulong aimed;
	atomic_ulong compactions;
	atomic_bool stop;
};

static struct board *map_board(int fd)
{
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (board == MAP_FAILED)
		stressor_broken("mmap of the board");
	return board;
}

/* Where exec puts a stack before the shift: the end of the address space of 4 or 5 levels. */
static unsigned long temporary_top(void)
{
	void *hint = (void *)(1UL << 55);
	void *got = mmap(hint, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool five_levels = got == hint;

	if (got == MAP_FAILED)
		stressor_broken("mmap at the top");
	munmap(got, PAGE);
	return (five_levels ? 1UL << 56 : 1UL << 47) - PAGE;
}

/* The end of this process's stack: the program's name and eight bytes of 0 are the last in it. */
static unsigned long stack_end(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	return ((unsigned long)name + strlen(name) + 1 + 8 + PAGE - 1) & ~(PAGE - 1);
}

/* argv: program, "storm", the board's descriptor, then arguments that only have to be long. */
static int storm(char **argv)
{
	struct board *board = map_board(atoi(argv[2]));

	atomic_fetch_add(&board->execs, 1);
	if (stack_end() != temporary_top())
		atomic_fetch_add(&board->shifted, 1);
	if (atomic_load(&board->stop))
		return STRESSOR_HELD;
	execv("/proc/self/exe", argv);
	stressor_broken("exec of itself");
	return STRESSOR_BROKEN;
}

static void start_storm(int fd, int arguments)
{
	char *argv[3 + ARGUMENTS_MAX + 1] = { "exec-storm", "storm" };
	char number[16];
	int i;

	snprintf(number, sizeof(number), "%d", fd);
	argv[2] = number;
	for (i = 0; i < arguments; i++) {
		argv[3 + i] = malloc(ARGUMENT);
		if (!argv[3 + i])
			stressor_broken("malloc");
		memset(argv[3 + i], 'a' + i, ARGUMENT - 1);
		argv[3 + i][ARGUMENT - 1] = '\0';
	}
	execv("/proc/self/exe", argv);
	stressor_broken("first exec");
}

static void compact(struct board *board)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

	if (fd < 0)
		stressor_broken("/proc/sys/vm/compact_memory");
	while (!atomic_load(&board->stop)) {
		if (pwrite(fd, "1", 1, 0) != 1)
			stressor_broken("compaction");
		atomic_fetch_add(&board->compactions, 1);
	}
}

/*
 * True if the sweep got hold of a page. Once the stack has its place there is nothing at the top,
 * so that page's exec was in flight. A page that cannot be moved counts as well: that is what a
 * fixed kernel answers.
 */
static bool sweep(pid_t pid, unsigned long top, int node)
{
	void *pages[SWEEP];
	int nodes[SWEEP], status[SWEEP];
	long left;
	int i;

	for (i = 0; i < SWEEP; i++) {
		pages[i] = (void *)(top - (i + 1) * PAGE);
		nodes[i] = node;
		status[i] = -ENOENT;
	}
	left = syscall(SYS_move_pages, pid, SWEEP, pages, nodes, status, MPOL_MF_MOVE);
	if (left > 0)
		return true;
	for (i = 0; i < SWEEP; i++)
		if (status[i] >= 0 || status[i] == -EBUSY)
			return true;
	return false;
}

static void move(struct board *board, const pid_t *storms, int number)
{
	unsigned long top = temporary_top();
	unsigned int round;

	for (round = 0; !atomic_load(&board->stop); round++)
		if (sweep(storms[round % number], top, round / number % 2))
			atomic_fetch_add(&board->aimed, 1);
}

static void run_until(struct board *board, double end)
{
	struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	while (stressor_now() < end)
		nanosleep(&pause, NULL);
	atomic_store(&board->stop, true);
}

/* All children must have ended well. */
static int reap(void)
{
	int status, result = STRESSOR_HELD;

	while (wait(&status) > 0) {
		if (WIFSIGNALED(status))
			stressor_say("broken: a process died of signal %d", WTERMSIG(status));
		if (status)
			result = STRESSOR_BROKEN;
	}
	return result;
}

int main(int argc, char **argv)
{
	const struct rlimit stack = { 8 << 20, RLIM_INFINITY };
	pid_t storms[STORMS];
	struct board *board;
	int number, fd, i, result;

	if (argc > 2 && !strcmp(argv[1], "storm"))
		return storm(argv);
	number = argc > 1 ? atoi(argv[1]) : STORMS;
	if (number < 1 || number > STORMS)
		stressor_broken("number of storms");

	srand(stressor_seed());
	fd = syscall(SYS_memfd_create, "board", 0);
	if (fd < 0 || ftruncate(fd, PAGE))
		stressor_broken("memfd");
	board = map_board(fd);
	if (setrlimit(RLIMIT_STACK, &stack))
		stressor_broken("setrlimit");

	stressor_race();
	for (i = 0; i < number; i++) {
		int arguments = ARGUMENTS_MIN + rand() % (ARGUMENTS_MAX - ARGUMENTS_MIN + 1);

		storms[i] = stressor_spawn(1);
		if (!storms[i])
			start_storm(fd, arguments);
	}
	if (number > 1 && !stressor_spawn(0)) {
		compact(board);
		_exit(STRESSOR_HELD);
	}
	if (!stressor_spawn(0)) {
		move(board, storms, number);
		_exit(STRESSOR_HELD);
	}
	run_until(board, stressor_now() + SECONDS);
	result = reap();

	stressor_count("execs", atomic_load(&board->execs));
	stressor_count("shifted", atomic_load(&board->shifted));
	stressor_count("aimed", atomic_load(&board->aimed));
	stressor_count("compactions", atomic_load(&board->compactions));
	return result;
}
