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
 *
 * collapse-punch [PUNCHERS]: how many, 3 if nothing else is said.
 */
#include "punch.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

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

/* Makes the file one huge page, so that the next collapse has only to retract a page table. */
static void form_huge_page(int fd)
{
	char *start = map_huge(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	int tries = 100;

	touch(start);
	while (madvise(start, HUGE, MADV_COLLAPSE)) {
		if (errno == EINVAL)
			exit(STRESSOR_SKIP);
		if (!tries--)
			stressor_broken("forming the huge page");
	}
	keep_huge_page(start);
	munmap(start, HUGE);
}

static void collapse(struct board *board, int fd)
{
	char *start = map_huge(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	while (!atomic_load(&board->stop)) {
		map_small(start);
		if (madvise(start, HUGE, MADV_COLLAPSE))
			stressor_broken("madvise(MADV_COLLAPSE)");
		atomic_fetch_add(&board->collapses, 1);
		stressor_rest();
	}
}

int main(int argc, char **argv)
{
	int punchers = argc > 1 ? atoi(argv[1]) : PUNCHERS;
	struct board *board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_memfd_create, "collapse-punch", 0);

	if (punchers < 1 || punchers > PUNCHERS)
		stressor_broken("number of punchers");
	if (board == MAP_FAILED || fd < 0 || ftruncate(fd, HUGE))
		stressor_broken("set-up");
	form_huge_page(fd);
	return run_beside_punchers(board, fd, punchers, collapse);
}
