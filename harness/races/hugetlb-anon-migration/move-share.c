// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race hugetlb-anon-migration (fixed by 336bf30eb765, v5.10): children that share a parent's
 * private huge pages unmap them, one after the other, while the parent's pages are moved between
 * two nodes.
 *
 * Each child puts an anon_vma_chain into the tree of the parent's anon_vma, and takes it out
 * again. The pages stay mapped in the parent all the time, so that no look at their mapcount hides
 * the race: each munmap can hit each walk.
 *
 * A pipe holds a reference to all pages but one. Migrating those fails late, after both rmap walks
 * and before the copy, and is retried ten times: walks many times as often as with pages that
 * move. The free page shows that pages do move here.
 *
 * usage: move-share [CHILDREN]
 */
#include "sync.h"

#include <fcntl.h>
#include <sys/uio.h>

enum { FREE = 1, HELD = 3, PAGES = FREE + HELD, MOST = 8 };

/* Have a pipe refer to each of these pages until this program ends. */
static void hold(char *area, int pages)
{
	int ends[2];

	if (pipe(ends))
		stressor_broken("pipe");
	for (int page = 0; page < pages; page++) {
		struct iovec byte = { .iov_base = area + page * HUGE_SIZE, .iov_len = 1 };

		if (vmsplice(ends[1], &byte, 1, 0) != 1)
			stressor_broken("vmsplice");
	}
}

/* Fork children that share the pages and, once all are there, unmap them at the same time. */
static void round_of(struct sync *sync, char *area, int children)
{
	static unsigned int round;
	pid_t pid[MOST];
	int status;

	round++;
	for (int child = 0; child < children; child++) {
		pid[child] = fork();
		if (pid[child] < 0)
			stressor_broken("fork");
		if (pid[child])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (atomic_load(&sync->round) != round)
			sched_yield();
		sync_unmap(sync, area, PAGES);
		_exit(STRESSOR_HELD);
	}
	atomic_store(&sync->round, round);
	for (int child = 0; child < children; child++) {
		if (waitpid(pid[child], &status, 0) == pid[child] && !status)
			continue;
		errno = ECHILD;
		stressor_broken("child");
	}
}

int main(int argc, char **argv)
{
	int children = argc > 1 ? atoi(argv[1]) : MOST;
	struct sync *sync = sync_new();
	char *area;
	double end;
	pid_t mover;

	if (children < 1 || children > MOST) {
		errno = EINVAL;
		stressor_broken("children");
	}
	stressor_pin(HUGE_VICTIM_CPU);
	huge_require();
	area = huge_map(PAGES);
	huge_touch(area, PAGES);
	hold(area + FREE * HUGE_SIZE, HELD);
	atomic_store(&sync->area, area);
	mover = sync_mover(sync, getpid(), FREE, HELD);
	stressor_race();
	for (end = stressor_now() + SYNC_SECONDS; sync_running(sync, end);)
		round_of(sync, area, children);
	sync_finish(sync, mover);
	return STRESSOR_HELD;
}
