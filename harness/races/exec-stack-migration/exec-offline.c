// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: exec-stack-migration, for kernels on which compaction is not there yet and move_pages(2)
 * holds the lock that exec holds: there, taking memory offline moves pages beside an exec.
 *
 * CPU 1: processes that exec themselves again and again, with 1 to 2 MB of arguments.
 * CPU 0: one process takes each block of memory that it can offline, which moves all pages out of
 * it, and online again.
 */
#include "storm.h"

#include <fcntl.h>

#define SECONDS 5
#define BLOCKS 512
#define STATE "/sys/devices/system/memory/memory%d/state"

/* memfd_create(2) is younger than these kernels. */
static int make_board(void)
{
	char path[] = "/tmp/board-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, PAGE))
		stressor_broken("the board's file");
	return fd;
}

static int find_blocks(int *fds)
{
	char path[64];
	int i, found = 0;

	for (i = 0; i < BLOCKS; i++) {
		snprintf(path, sizeof(path), STATE, i);
		fds[found] = open(path, O_RDWR | O_CLOEXEC);
		if (fds[found] >= 0)
			found++;
	}
	return found;
}

/* A block with memory of the kernel's own is refused; one that was not is there again after this. */
static void cycle(struct board *board, int fd)
{
	if (pwrite(fd, "offline", 7, 0) != 7) {
		atomic_fetch_add(&board->refused, 1);
		return;
	}
	atomic_fetch_add(&board->offlined, 1);
	if (pwrite(fd, "online", 6, 0) != 6)
		stressor_broken("taking a block online");
}

static void move(struct board *board, const int *fds, int blocks)
{
	unsigned int round;

	for (round = 0; !atomic_load(&board->stop); round++)
		cycle(board, fds[round % blocks]);
}

static void say(void *what)
{
	struct board *board = what;

	stressor_count("execs", atomic_load(&board->execs));
	stressor_count("shifted", atomic_load(&board->shifted));
	stressor_count("offlined", atomic_load(&board->offlined));
	stressor_count("refused", atomic_load(&board->refused));
}

int main(int argc, char **argv)
{
	struct board *board;
	int fds[BLOCKS];
	int fd, i, blocks;

	if (is_storm(argc, argv))
		return storm(argv);

	srand(stressor_seed());
	blocks = find_blocks(fds);
	if (!blocks) {
		stressor_say("no block of memory here that could be taken offline");
		return STRESSOR_SKIP;
	}
	fd = make_board();
	board = board_map(fd);
	limit_stack(8 << 20);

	for (i = 0; i < STORMS; i++)
		start_storm("exec-offline", fd);
	if (!stressor_spawn(0)) {
		move(board, fds, blocks);
		_exit(STRESSOR_HELD);
	}
	stressor_race();
	return run_storms(board, SECONDS, say);
}
