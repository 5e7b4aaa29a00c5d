/* SPDX-License-Identifier: GPL-2.0-only */
/* Huge pages, and moving them between two NUMA nodes. */
#ifndef MMRACE_HUGE_H
#define MMRACE_HUGE_H

#include "stressor.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HUGE_SIZE (2UL << 20)

enum { HUGE_MAX = 8, HUGE_MOVER_CPU = 0, HUGE_VICTIM_CPU = 1 };

/* From linux/mempolicy.h, which not every libc's include path has. */
enum { HUGE_MOVE = 1 << 1, HUGE_MOVE_ALL = 1 << 2 };

static inline char *huge_map(int pages)
{
	/* Without a reservation: its lock would keep migration out of a munmap in part. */
	char *area = mmap(NULL, pages * HUGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		stressor_broken("mmap of huge pages");
	return area;
}

static inline void huge_touch(char *area, int pages)
{
	for (int page = 0; page < pages; page++)
		*(volatile char *)(area + page * HUGE_SIZE) = 1;
}

/* On which node each page is: negative where it is not there. */
static inline void huge_where(pid_t pid, void **address, int pages, int *nodes)
{
	if (syscall(SYS_move_pages, pid, (long)pages, address, NULL, nodes, 0))
		stressor_broken("move_pages, asking");
}

/*
 * Move pages of a process from the node they are on to the other one; returns how many went
 * there. One that was not there, and one that stayed, do not count.
 */
static inline int huge_move(pid_t pid, char *area, int pages, int flags)
{
	void *address[HUGE_MAX];
	int was[HUGE_MAX], nodes[HUGE_MAX], status[HUGE_MAX], moved = 0;
	long rc;

	for (int page = 0; page < pages; page++)
		address[page] = area + page * HUGE_SIZE;
	huge_where(pid, address, pages, was);
	for (int page = 0; page < pages; page++) {
		nodes[page] = !was[page];
		status[page] = -EAGAIN;
	}
	rc = syscall(SYS_move_pages, pid, (long)pages, address, nodes, status, flags);
	if (rc < 0 && errno != ENOENT && errno != ENOMEM)
		stressor_broken("move_pages");
	/* When some stayed behind, the kernel says how many and not which. */
	if (rc)
		huge_where(pid, address, pages, status);
	for (int page = 0; page < pages; page++)
		moved += was[page] >= 0 && status[page] == nodes[page];
	return moved;
}

/* Both nodes have to be there, and a page has to be movable from one to the other and back. */
static inline void huge_require(void)
{
	char *area = huge_map(1);
	int moved = 0;

	huge_touch(area, 1);
	for (int turn = 0; turn < 2; turn++)
		moved += huge_move(0, area, 1, HUGE_MOVE);
	munmap(area, HUGE_SIZE);
	if (moved != 2) {
		stressor_say("a huge page cannot be moved between node 0 and node 1");
		exit(STRESSOR_SKIP);
	}
}

#endif
