// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: pagemap-thp-split, fixed by commit 24d7275ce279 (v5.17), CVE-2023-1582.
 *
 * While a huge page is being split, migration entries stand in for its small pages. A reader of
 * /proc/PID/pagemap that asks such a page how often it is mapped looks at a page that is half
 * huge: it was a part of one when the question began, and is none any more at its end.
 *
 * CPU 0: makes a huge page, has it split, throws it away.
 * CPU 1: processes that read the page's entries in pagemap.
 */
#include "stressor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SECONDS 2.5
#define PAGE 4096UL
#define PAGES 512
#define HUGE (PAGES * PAGE)
#define READERS 2		/* while one copies its result out, the other walks */
#define SWAPPED (1ULL << 62)	/* of a pagemap entry; without swap, only migration looks so */

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

struct board {
	atomic_ulong splits;	/* asked for; vmstat's thp_split_page says how many there were */
	atomic_ulong reads;
	atomic_ulong between;	/* reads that met the page between huge and small */
	atomic_bool stop;
};

/* Room for a huge page, aligned as it has to be. */
static char *reserve_huge(void)
{
	char *room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		stressor_broken("mmap");
	return (char *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
}

/*
 * A new mapping each time: the old one has a page table of small pages, also when they are gone,
 * and where a page table is no huge page comes.
 */
static void map_huge(char *start)
{
	if (mmap(start, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != start)
		stressor_broken("mmap");
	if (!madvise(start, HUGE, MADV_HUGEPAGE))
		return;
	if (errno == EINVAL)
		exit(STRESSOR_SKIP);
	stressor_broken("madvise(MADV_HUGEPAGE)");
}

/* Advice for a part of a huge page makes the kernel split it; MADV_COLD costs the part nothing. */
static void split(struct board *board, char *start)
{
	while (!atomic_load(&board->stop)) {
		map_huge(start);
		start[0] = 1;
		if (madvise(start, PAGE, MADV_COLD)) {
			if (errno == EINVAL)
				exit(STRESSOR_SKIP);
			stressor_broken("madvise(MADV_COLD)");
		}
		atomic_fetch_add(&board->splits, 1);
	}
}

static void read_pagemap(struct board *board, int fd, const char *start)
{
	off_t offset = (uintptr_t)start / PAGE * sizeof(uint64_t);
	uint64_t entries[PAGES];

	while (!atomic_load(&board->stop)) {
		ssize_t got = pread(fd, entries, sizeof(entries), offset);
		int i;

		if (!got)
			return;		/* the splitter has stopped first and is gone */
		if (got != (ssize_t)sizeof(entries))
			stressor_broken("reading pagemap");
		atomic_fetch_add(&board->reads, 1);
		for (i = 0; i < PAGES && !(entries[i] & SWAPPED); i++)
			;
		if (i < PAGES)
			atomic_fetch_add(&board->between, 1);
	}
}

static void say(void *what)
{
	struct board *board = what;

	stressor_count("splits", atomic_load(&board->splits));
	stressor_count("reads", atomic_load(&board->reads));
	stressor_count("between", atomic_load(&board->between));
}

int main(void)
{
	struct board *board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *start = reserve_huge();
	char path[64];
	pid_t splitter;
	int fd, i, result;

	if (board == MAP_FAILED)
		stressor_broken("mmap of the board");
	splitter = stressor_spawn(0);
	if (!splitter) {
		split(board, start);
		_exit(STRESSOR_HELD);
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", splitter);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		stressor_broken(path);
	for (i = 0; i < READERS; i++) {
		if (!stressor_spawn(1)) {
			read_pagemap(board, fd, start);
			_exit(STRESSOR_HELD);
		}
	}
	stressor_race();
	stressor_watch(stressor_now() + SECONDS, say, board);
	atomic_store(&board->stop, true);
	result = stressor_reap();
	say(board);
	return result;
}
