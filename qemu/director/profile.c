// SPDX-License-Identifier: GPL-2.0-only
/*
 * For each word the last accesses of each vCPU; two of different vCPUs, one of them a store, are a
 * pair. One access a word and vCPU would not do: ptep_clear_flush() is hidden behind the entry that
 * is written next.
 *
 * Words that share a place in the table push each other out: what is lost is a pair far apart.
 */
#include "profile.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"

#define WORDS (1u << 17)
#define LAST 4
#define PROBES 64 /* places of the pair table that are looked at before a pair counts as lost */

struct seen {
	uint64_t time; /* 0: none */
	uint32_t site;
	uint32_t store;
};

struct history {
	struct seen last[LAST];
	uint32_t next;
};

struct word {
	uint64_t address;
	uint32_t lock;
	struct history by_vcpu[];
};

struct profile {
	struct shared_search *search;
	struct shared_pair *pairs;
	unsigned int vcpus;
	size_t stride;
	unsigned char *words;
	pthread_mutex_t insertion;
};

static uint64_t mix(uint64_t value)
{
	return draw(&value);
}

/* Held for a few dozen instructions, so that spinning is right. */
static void lock_word(struct word *word)
{
	while (__atomic_exchange_n(&word->lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&word->lock, __ATOMIC_RELAXED))
			;
}

static void unlock_word(struct word *word)
{
	__atomic_store_n(&word->lock, 0, __ATOMIC_RELEASE);
}

/* The pair, or the free place where it belongs; NULL when there is neither. */
static struct shared_pair *find_pair(struct profile *profile, uint32_t first, uint32_t second)
{
	uint32_t at = mix((uint64_t)first << 32 | second);

	for (unsigned int probe = 0; probe < PROBES; probe++) {
		struct shared_pair *pair = &profile->pairs[(at + probe) & (profile->search->pairs - 1)];

		if (!__atomic_load_n(&pair->count, __ATOMIC_ACQUIRE) ||
		    (pair->first == first && pair->second == second))
			return pair;
	}
	return NULL;
}

static bool insert_pair(struct profile *profile, const struct shared_pair *new)
{
	struct shared_pair *pair;
	bool inserted = false;

	pthread_mutex_lock(&profile->insertion);
	pair = find_pair(profile, new->first, new->second);
	if (!pair) {
		add(&profile->search->pairs_lost, 1);
	} else if (!pair->count) {
		*pair = *new;
		pair->count = 0;
		__atomic_store_n(&pair->count, 1, __ATOMIC_RELEASE);
		add(&profile->search->pairs_used, 1);
		inserted = true;
	}
	pthread_mutex_unlock(&profile->insertion);
	return inserted;
}

static bool count_pair(struct profile *profile, const struct seen *before,
		       const struct access *access)
{
	/* The word's lock orders them; each took the time before it. */
	uint64_t gap = access->time > before->time ? access->time - before->time :
						     before->time - access->time;
	struct shared_pair *pair = find_pair(profile, before->site, access->site);

	if (!pair || !__atomic_load_n(&pair->count, __ATOMIC_ACQUIRE))
		return insert_pair(profile, &(struct shared_pair){
			.first = before->site,
			.second = access->site,
			.kinds = before->store | (uint32_t)access->store << 1,
			.gap_ns = gap,
			.word = access->address,
			.since = __atomic_load_n(&profile->search->schedules, __ATOMIC_RELAXED),
		});
	__atomic_fetch_add(&pair->count, 1, __ATOMIC_RELAXED);
	if (gap < pair->gap_ns) {
		/* Two vCPUs may do this at once; either's time and word will do. */
		pair->gap_ns = gap;
		pair->word = access->address;
	}
	return false;
}

unsigned int profile_access(struct profile *profile, unsigned int vcpu,
			    const struct access *access)
{
	uint64_t address = access->address & ~7ull;
	size_t place = mix(address) % WORDS;
	struct word *word = (struct word *)(profile->words + place * profile->stride);
	struct history *own = &word->by_vcpu[vcpu];
	unsigned int fresh = 0;

	lock_word(word);
	if (word->address != address) {
		word->address = address;
		for (unsigned int i = 0; i < profile->vcpus; i++)
			word->by_vcpu[i] = (struct history){ 0 };
	}
	for (unsigned int other = 0; other < profile->vcpus; other++) {
		const struct history *history = &word->by_vcpu[other];

		for (unsigned int i = 0; other != vcpu && i < LAST; i++)
			if (history->last[i].time && (access->store || history->last[i].store))
				fresh += count_pair(profile, &history->last[i], access);
	}
	own->last[own->next++ % LAST] =
		(struct seen){ .time = access->time, .site = access->site, .store = access->store };
	unlock_word(word);
	return fresh;
}

struct profile *profile_open(struct shared_search *search, struct shared_pair *pairs,
			     unsigned int vcpus)
{
	struct profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return NULL;
	profile->search = search;
	profile->pairs = pairs;
	profile->vcpus = vcpus;
	profile->stride = sizeof(struct word) + vcpus * sizeof(struct history);
	profile->words = calloc(WORDS, profile->stride);
	pthread_mutex_init(&profile->insertion, NULL);
	return profile->words ? profile : NULL;
}
