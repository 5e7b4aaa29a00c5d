// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race hugetlb-anon-migration (fixed by 336bf30eb765, v5.10): a process maps, fills and unmaps
 * private huge pages, another one moves them between two nodes.
 *
 * The rmap walk of the migration goes through the anon_vma while munmap takes it apart. Each
 * mapping has one VMA and is unmapped once, so what the kernel does here is easy to follow, and to
 * steer. Unsteered the race is rare: the page has to lose its last mapping between two
 * instructions of the migration. Where that is, move-share does not care.
 */
#include "sync.h"

enum { PAGES = 2 };

/* Longer than a move of all pages, so that munmap meets every phase of one. */
#define WAIT_SECONDS 0.006

int main(void)
{
	struct sync *sync = sync_new();
	unsigned int seed = stressor_seed();
	double end, until;
	pid_t mover;

	stressor_pin(HUGE_VICTIM_CPU);
	huge_require();
	atomic_store(&sync->area, huge_map(PAGES));
	huge_touch(atomic_load(&sync->area), PAGES);
	mover = sync_mover(sync, getpid(), PAGES, 0);
	stressor_race();
	for (end = stressor_now() + SYNC_SECONDS; sync_running(sync, end);) {
		until = stressor_now() + WAIT_SECONDS * rand_r(&seed) / RAND_MAX;
		while (stressor_now() < until)
			;
		sync_unmap(sync, atomic_load(&sync->area), PAGES);
		atomic_store(&sync->area, huge_map(PAGES));
		huge_touch(atomic_load(&sync->area), PAGES);
	}
	sync_finish(sync, mover);
	return STRESSOR_HELD;
}
