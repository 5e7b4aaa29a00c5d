// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: {{ name }}, fixed by commit TODO.
 *
 * TODO: what the two sides do to each other. What is here only shows the form: it holds on any
 * kernel.
 *
 * CPU 0: writes to pages and looks at once what is there.
 * CPU 1: takes the pages away.
 */
#include "stressor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#define SECONDS 2.0	/* an iteration: PID 1 repeats it with the next seed */
#define PAGE 4096UL
#define PAGES 64

static char *area;
static atomic_ulong rounds, taken;
static atomic_bool stop;

/* A page may be gone between the two: then it reads as zeros. Anything else is a failure. */
static void *touch(void *unused)
{
	unsigned int seed = stressor_seed();

	stressor_pin(0);
	while (!atomic_load(&stop)) {
		volatile char *page = area + rand_r(&seed) % PAGES * PAGE;
		char seen;

		*page = 1;
		seen = *page;
		if (seen != 0 && seen != 1) {
			/* This line is what [[signature]] in race.toml looks for. */
			stressor_say("mmrace: fail a page lost what was written: %d", seen);
			exit(STRESSOR_SEEN);
		}
		atomic_fetch_add(&rounds, 1);
		stressor_rest();
	}
	return unused;
}

static void *take(void *unused)
{
	stressor_pin(1);
	while (!atomic_load(&stop)) {
		if (madvise(area, PAGES * PAGE, MADV_DONTNEED))
			stressor_broken("madvise");
		atomic_fetch_add(&taken, 1);
		stressor_rest();
	}
	return unused;
}

/* 4. Say what proves that it was done, as it goes on and at the end; min counts are in race.toml. */
static void say(void *what)
{
	(void)what;
	stressor_count("rounds", atomic_load(&rounds));
	stressor_count("taken", atomic_load(&taken));
}

int main(void)
{
	pthread_t threads[2];

	/* 1. Set up. What cannot be had here: exit(STRESSOR_SKIP). What fails: stressor_broken(). */
	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		stressor_broken("mmap");

	/* 2. From here on windows are armed. */
	stressor_race();
	if (pthread_create(&threads[0], NULL, touch, NULL) ||
	    pthread_create(&threads[1], NULL, take, NULL))
		stressor_broken("pthread_create");

	/* 3. Long enough to meet often, short enough that a crash is near its seed. */
	stressor_watch(stressor_now() + SECONDS, say, NULL);
	atomic_store(&stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);

	say(NULL);
	return STRESSOR_HELD;
}
