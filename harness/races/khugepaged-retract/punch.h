/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of one huge page, and processes that punch holes in it. */
#ifndef MMRACE_PUNCH_H
#define MMRACE_PUNCH_H

#include "stressor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define SECONDS 2.5
#define PAGE 4096UL
#define HUGE (512 * PAGE)
#define PUNCHERS 3		/* at most; while one waits for the page lock, another zaps */
#define HOLE_MAX 16		/* pages; the kernel zeroes them under the page lock, which faults want */

struct board {
	atomic_ulong collapses;	/* asked for, and done */
	atomic_ulong punches;
	atomic_bool stop;
};

/* A mapping of the file at a multiple of the huge page's size. */
static inline char *map_huge(int fd, int protection, int flags)
{
	char *room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start;

	if (room == MAP_FAILED)
		stressor_broken("mmap");
	start = (char *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
	if (mmap(start, HUGE, protection, flags | MAP_FIXED, fd, 0) != start)
		stressor_broken("mmap of the file");
	return start;
}

/* Reads one page in each run of 16: a read fault maps its neighbours as well. */
static inline void touch(const volatile char *from)
{
	unsigned long offset;

	for (offset = 0; offset < HUGE; offset += 16 * PAGE)
		(void)from[offset];
}

/*
 * Take a reference to the huge page that lasts as long as this process. With it the page cannot
 * be split: punching takes the entries away and zeroes the range, and the page stays.
 */
static inline void keep_huge_page(char *start)
{
	struct iovec one = { start, PAGE };
	int pipes[2];

	if (pipe(pipes) || vmsplice(pipes[1], &one, 1, 0) != (ssize_t)PAGE)
		stressor_broken("vmsplice");
}

/* Punch holes until told to stop; the first page is spared. */
static inline void punch(struct board *board, int fd, unsigned int seed)
{
	while (!atomic_load(&board->stop)) {
		unsigned int first = 1 + rand_r(&seed) % (511 - HOLE_MAX);
		unsigned int pages = 1 + rand_r(&seed) % HOLE_MAX;

		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      first * PAGE, pages * PAGE))
			stressor_broken("punching a hole");
		atomic_fetch_add(&board->punches, 1);
		stressor_rest();
	}
}

static inline void say_board(void *what)
{
	struct board *board = what;

	stressor_count("collapses", atomic_load(&board->collapses));
	stressor_count("punches", atomic_load(&board->punches));
}

/* Run `collapse` on one CPU and punchers on the other; returns the program's exit code. */
static inline int run_beside_punchers(struct board *board, int fd, int punchers,
			       void (*collapse)(struct board *board, int fd))
{
	int i, result;

	stressor_race();
	if (!stressor_spawn(0)) {
		collapse(board, fd);
		_exit(STRESSOR_HELD);
	}
	for (i = 0; i < punchers; i++) {
		if (!stressor_spawn(1)) {
			punch(board, fd, stressor_seed() * PUNCHERS + i);
			_exit(STRESSOR_HELD);
		}
	}
	stressor_watch(stressor_now() + SECONDS, say_board, board);
	atomic_store(&board->stop, true);
	result = stressor_reap();
	say_board(board);
	return result;
}

#endif
