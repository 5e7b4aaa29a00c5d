// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race hugetlb-uffd (fixed by 2ea7ff1e39cb, v6.1): a thread uses huge pages of a file that
 * UFFDIO_CONTINUE has mapped, another one moves them between two nodes.
 *
 * private: the thread has written to each page, so that it has a copy of its own beside the page
 * in the page cache. A fault that finds the PTE cleared for a moment finds the latter, and reports
 * MINOR. No lock excludes it, as in missing-by-migration.
 *
 * shared: the pages that move are those in the page cache. Such a fault sleeps until the move is
 * over, and reports MINOR then. The VMA's lock excludes part of that from 6.1 on.
 */
#include "uffd.h"

int main(int argc, char **argv)
{
	static struct uffd uffd = { .pages = 8 };
	bool shared = argc > 1 && !strcmp(argv[1], "shared");
	char *alias;
	int file;

	file = syscall(SYS_memfd_create, "mmrace", MFD_HUGETLB);
	if (file < 0 || ftruncate(file, uffd.pages * HUGE_SIZE))
		stressor_broken("memfd_create");
	/* Fill the page cache; mapped twice, no page would be moved. */
	alias = uffd_map(uffd.pages, MAP_SHARED, file);
	for (int page = 0; page < uffd.pages; page++)
		alias[page * HUGE_SIZE] = 'm';
	munmap(alias, uffd.pages * HUGE_SIZE);
	uffd.area = uffd_map(uffd.pages, shared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE, file);
	uffd_register(&uffd, UFFD_FEATURE_MINOR_HUGETLBFS, UFFDIO_REGISTER_MODE_MINOR);
	uffd_start(&uffd, uffd_continue);
	while (uffd_running(&uffd)) {
		uffd_move(&uffd);
	}
	uffd_finish(&uffd);
	return STRESSOR_HELD;
}
