// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race hugetlb-uffd (fixed by 2ea7ff1e39cb, v6.1): a thread reads private huge pages that
 * UFFDIO_COPY has filled, another one moves them between two nodes.
 *
 * Migration clears a PTE, flushes the TLB and puts its own entry there. A fault that reads the PTE
 * in between takes the page for missing. Nothing excludes it: a private page's migration takes no
 * lock that a fault holds. Needs no luck: a few hundred moves are enough.
 *
 * missing-by-migration [PAGES]: how many, 8 if nothing else is said. With more than 1 the victim
 * often comes from a page that has just been moved to the next one that is.
 */
#include "uffd.h"

int main(int argc, char **argv)
{
	static struct uffd uffd;

	uffd.pages = argc > 1 ? atoi(argv[1]) : 8;
	if (uffd.pages < 1 || uffd.pages > UFFD_MAX)
		stressor_broken("number of pages");
	uffd.area = uffd_map(uffd.pages, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uffd.source = uffd_map(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(uffd.source, 'm', HUGE_SIZE);
	uffd_register(&uffd, 0, UFFDIO_REGISTER_MODE_MISSING);
	uffd_start(&uffd, uffd_copy);
	while (uffd_running(&uffd)) {
		uffd_move(&uffd);
		stressor_rest();
	}
	uffd_finish(&uffd);
	return STRESSOR_HELD;
}
