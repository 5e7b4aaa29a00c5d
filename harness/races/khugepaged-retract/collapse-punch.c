// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: khugepaged-retract, fixed by commit 8d3c106e19e8 (v6.1-rc8).
 *
 * collapse_pte_mapped_thp() of a shared-memory huge page drops the page's mappings and then takes
 * the page table away. Punching a hole into the same file zaps entries of that page table under
 * i_mmap_rwsem alone: without that lock the two take the same entries apart.
 *
 * CPU 0: splits the mapping of a huge page into small entries and collapses it again.
 * CPU 1: processes that punch holes in the same file.
 */
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
#define PUNCHERS 3		/* while one waits for the page lock, another zaps */
#define HOLE_MAX 16		/* pages; the kernel zeroes them under the page lock, which faults want */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct board {
	atomic_ulong collapses;
	atomic_ulong punches;
	atomic_bool stop;
};

/* A mapping of the file at a multiple of the huge page's size. */
static char *map_huge(int fd)
{
	char *room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start;

	if (room == MAP_FAILED)
		stressor_broken("mmap");
	start = (char *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
	if (mmap(start, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != start)
		stressor_broken("mmap of the file");
	return start;
}

/* Reads one page in each run of 16: a read fault maps its neighbours as well. */
static void touch(const volatile char *from)
{
	unsigned long offset;

	for (offset = 0; offset < HUGE; offset += 16 * PAGE)
		(void)from[offset];
}

/*
 * Two VMAs with different advice share no huge entry: what is faulted in meanwhile are small ones,
 * and they stay when the VMAs become one again. Thus the collapse finds a page table.
 */
static void map_small(char *start)
{
	if (madvise(start, HUGE / 2, MADV_RANDOM))
		stressor_broken("madvise(MADV_RANDOM)");
	touch(start);
	if (madvise(start, HUGE / 2, MADV_NORMAL))
		stressor_broken("madvise(MADV_NORMAL)");
}

/*
 * Makes the file one huge page and takes a reference to it that lasts as long as the pipe. With
 * it the page cannot be split: punching takes the entries away and zeroes the range, and the next
 * collapse has nothing to do but to retract the page table.
 */
static void form_huge_page(int fd)
{
	char *start = map_huge(fd);
	struct iovec one = { start, PAGE };
	int pipes[2], tries = 100;

	touch(start);
	while (madvise(start, HUGE, MADV_COLLAPSE)) {
		if (errno == EINVAL)
			exit(STRESSOR_SKIP);
		if (!tries--)
			stressor_broken("forming the huge page");
	}
	if (pipe(pipes) || vmsplice(pipes[1], &one, 1, 0) != (ssize_t)PAGE)
		stressor_broken("vmsplice");
	munmap(start, HUGE);
}

static void collapse(struct board *board, int fd)
{
	char *start = map_huge(fd);

	while (!atomic_load(&board->stop)) {
		map_small(start);
		if (madvise(start, HUGE, MADV_COLLAPSE))
			stressor_broken("madvise(MADV_COLLAPSE)");
		atomic_fetch_add(&board->collapses, 1);
	}
}

static void punch(struct board *board, int fd, unsigned int seed)
{
	while (!atomic_load(&board->stop)) {
		unsigned int first = rand_r(&seed) % (512 - HOLE_MAX);
		unsigned int pages = 1 + rand_r(&seed) % HOLE_MAX;

		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      first * PAGE, pages * PAGE))
			stressor_broken("punching a hole");
		atomic_fetch_add(&board->punches, 1);
	}
}

static pid_t spawn(int cpu)
{
	pid_t pid = fork();

	if (pid < 0)
		stressor_broken("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stressor_pin(cpu);
	}
	return pid;
}

/* The worst end of the children: a signal is none that they send each other. */
static int reap(void)
{
	int status, result = STRESSOR_HELD;

	while (wait(&status) > 0) {
		if (WIFSIGNALED(status)) {
			stressor_say("broken: a process died of signal %d", WTERMSIG(status));
			result = STRESSOR_BROKEN;
		} else if (WEXITSTATUS(status)) {
			result = WEXITSTATUS(status);
		}
	}
	return result;
}

int main(void)
{
	struct timespec length = { .tv_sec = SECONDS, .tv_nsec = (SECONDS - (int)SECONDS) * 1e9 };
	struct board *board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_memfd_create, "collapse-punch", 0);
	int i, result;

	if (board == MAP_FAILED || fd < 0 || ftruncate(fd, HUGE))
		stressor_broken("set-up");
	form_huge_page(fd);
	if (!spawn(0)) {
		collapse(board, fd);
		_exit(STRESSOR_HELD);
	}
	for (i = 0; i < PUNCHERS; i++) {
		if (!spawn(1)) {
			punch(board, fd, stressor_seed() * PUNCHERS + i);
			_exit(STRESSOR_HELD);
		}
	}
	stressor_race();
	nanosleep(&length, NULL);
	atomic_store(&board->stop, true);
	result = reap();

	stressor_count("collapses", atomic_load(&board->collapses));
	stressor_count("punches", atomic_load(&board->punches));
	return result;
}
