/* SPDX-License-Identifier: GPL-2.0-only */
/* What mover and victim, two processes, share, and what counts as their meeting. */
#ifndef MMRACE_SYNC_H
#define MMRACE_SYNC_H

#include "huge.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#define SYNC_SECONDS 2.5

/* Calls for held pages, which copy nothing, to one for free pages; microseconds between them. */
enum { SYNC_HELD_TURNS = 4, SYNC_PAUSE = 1000 };

struct sync {
	/* Victims that are inside munmap, and all that ever entered it. */
	atomic_ulong inside;
	atomic_ulong entered;
	atomic_uint round;	/* that children may start */
	atomic_bool stop;
	_Atomic(char *) area;
	atomic_ulong moved;	/* pages */
	atomic_ulong contested;	/* pages of calls that a munmap overlapped */
	atomic_ulong refused;	/* pages of such calls that somebody holds, so that they stay */
};

static inline struct sync *sync_new(void)
{
	struct sync *sync = mmap(NULL, sizeof(*sync), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (sync == MAP_FAILED)
		stressor_broken("mmap");
	return sync;
}

static inline void sync_unmap(struct sync *sync, char *area, int pages)
{
	atomic_fetch_add(&sync->inside, 1);
	atomic_fetch_add(&sync->entered, 1);
	if (munmap(area, pages * HUGE_SIZE))
		stressor_broken("munmap");
	atomic_fetch_sub(&sync->inside, 1);
}

/* Move what pid has at area, and count it; held pages come after the others. */
static inline void sync_move(struct sync *sync, pid_t pid, char *area, int pages, int held)
{
	unsigned long entered = atomic_load(&sync->entered), inside = atomic_load(&sync->inside);
	int moved = huge_move(pid, area, pages, HUGE_MOVE_ALL);

	atomic_fetch_add(&sync->moved, moved);
	if (!inside && atomic_load(&sync->entered) == entered)
		return;
	atomic_fetch_add(&sync->contested, moved);
	atomic_fetch_add(&sync->refused, held);
}

/* Fork a mover of the pages that pid has at sync->area, the first of them free, the rest held. */
static inline pid_t sync_mover(struct sync *sync, pid_t pid, int free, int held)
{
	unsigned int seed = stressor_seed();
	pid_t mover = fork();

	if (mover < 0)
		stressor_broken("fork");
	if (mover > 0)
		return mover;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	stressor_pin(HUGE_MOVER_CPU);
	while (!atomic_load(&sync->stop)) {
		char *area = atomic_load(&sync->area);

		sync_move(sync, pid, area, free, 0);
		for (int turn = 0; held && turn < SYNC_HELD_TURNS; turn++) {
			/* A lock taken again at once would keep the victims out of munmap. */
			usleep(rand_r(&seed) % SYNC_PAUSE);
			sync_move(sync, pid, area + free * HUGE_SIZE, held, held);
		}
	}
	_exit(STRESSOR_HELD);
}

static inline void sync_say(struct sync *sync)
{
	stressor_count("moved", atomic_load(&sync->moved));
	stressor_count("contested", atomic_load(&sync->contested));
	stressor_count("refused", atomic_load(&sync->refused));
	stressor_count("unmapped", atomic_load(&sync->entered));
}

/* Whether the time goes on; says the counters now and then. */
static inline bool sync_running(struct sync *sync, double end)
{
	if (stressor_due())
		sync_say(sync);
	return stressor_now() < end;
}

static inline void sync_finish(struct sync *sync, pid_t mover)
{
	int status;

	atomic_store(&sync->stop, true);
	if (waitpid(mover, &status, 0) != mover || status) {
		errno = ECHILD;
		stressor_broken("mover");
	}
	sync_say(sync);
}

#endif
