// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race hugetlb-uffd (fixed by 2ea7ff1e39cb, v6.1): a thread reads and writes private huge pages
 * that UFFDIO_COPY has filled, another one write-protects them and takes that back.
 *
 * Changing the protection clears the PTE and sets it anew. A fault that reads it in between takes
 * the page for missing. On 6.1 and later a lock of the VMA excludes that, except for private
 * mappings without a reservation: hence MAP_NORESERVE. Some instructions wide, so rare unsteered.
 */
#include "uffd.h"

int main(void)
{
	static struct uffd uffd = { .pages = 16, .writes = 64 };

	uffd.area = uffd_map(uffd.pages, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uffd.source = uffd_map(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(uffd.source, 'm', HUGE_SIZE);
	uffd_register(&uffd, UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
		      UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
	uffd_start(&uffd, uffd_copy);
	while (uffd_running(&uffd)) {
		uffd_protect(&uffd, 0, uffd.pages, true);
		uffd_check(&uffd);
		uffd_protect(&uffd, 0, uffd.pages, false);
		uffd.protected += uffd.pages;
	}
	uffd_finish(&uffd);
	return STRESSOR_HELD;
}
