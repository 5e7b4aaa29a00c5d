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
#include "storm.h"

#include <fcntl.h>
#include <sys/syscall.h>

#define SECONDS 2.5
#define SWEEP 128		/* pages below the top that one move_pages(2) asks for */
#define MPOL_MF_MOVE 2

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
	unsigned long top = stack_top();
	unsigned int round;

	for (round = 0; !atomic_load(&board->stop); round++) {
		if (sweep(storms[round % number], top, round / number % 2))
			atomic_fetch_add(&board->aimed, 1);
		stressor_rest();
	}
}

static void say(void *what)
{
	struct board *board = what;

	stressor_count("execs", atomic_load(&board->execs));
	stressor_count("shifted", atomic_load(&board->shifted));
	stressor_count("aimed", atomic_load(&board->aimed));
	stressor_count("compactions", atomic_load(&board->compactions));
}

int main(int argc, char **argv)
{
	pid_t storms[STORMS];
	struct board *board;
	int number, fd, i;

	if (is_storm(argc, argv))
		return storm(argv);
	number = argc > 1 ? atoi(argv[1]) : STORMS;
	if (number < 1 || number > STORMS)
		stressor_broken("number of storms");

	srand(stressor_seed());
	fd = syscall(SYS_memfd_create, "board", 0);
	if (fd < 0 || ftruncate(fd, PAGE))
		stressor_broken("memfd");
	board = board_map(fd);
	limit_stack(8 << 20);

	stressor_race();
	for (i = 0; i < number; i++)
		storms[i] = start_storm("exec-storm", fd);
	if (number > 1 && !stressor_spawn(0)) {
		compact(board);
		_exit(STRESSOR_HELD);
	}
	if (!stressor_spawn(0)) {
		move(board, storms, number);
		_exit(STRESSOR_HELD);
	}
	return run_storms(board, SECONDS, say);
}
