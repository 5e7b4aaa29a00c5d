// SPDX-License-Identifier: GPL-2.0-only
#include "search.h"

#include <stdlib.h>

#include "clock.h"
#include "profile.h"
#include "schedule.h"

#define KERNEL_HALF (1ull << 63)

struct search {
	struct shared_header *header;
	struct shared_search *shared;
	struct shared_site *sites;
	struct profile *profile;
	struct scheduler *scheduler;
	uint64_t *stacks; /* by vCPU: number of the stack that it is on */
	struct shared_trace *traces;
	uint32_t ring;    /* places of one vCPU */
	uint32_t *traced; /* by vCPU: accesses traced, modulo 2^32 */
};

size_t search_size(const struct shared_search *shared)
{
	if (!shared->pairs || shared->pairs & (shared->pairs - 1) || !shared->steps)
		return 0;
	return sizeof(*shared) + (size_t)shared->sites * sizeof(struct shared_site) +
	       (size_t)shared->pairs * sizeof(struct shared_pair) +
	       (size_t)shared->steps * sizeof(struct shared_step) +
	       (size_t)shared->traces * sizeof(struct shared_trace);
}

static const char *bad_sites(const struct search *search)
{
	for (unsigned int i = 0; i < search->shared->sites; i++) {
		const struct shared_site *site = &search->sites[i];

		if (site->group >= search->shared->groups)
			return "a site names a function that is not there";
		if (i && site->address <= site[-1].address)
			return "sites are not sorted";
	}
	return NULL;
}

struct search *search_open(struct shared_header *header, struct shared_search *shared,
			   unsigned int vcpus, const char **why)
{
	struct search *search = calloc(1, sizeof(*search));
	struct shared_pair *pairs;
	struct shared_step *steps;

	*why = "out of memory";
	if (!search)
		return NULL;
	search->header = header;
	search->shared = shared;
	search->sites = (struct shared_site *)(shared + 1);
	pairs = (struct shared_pair *)(search->sites + shared->sites);
	steps = (struct shared_step *)(pairs + shared->pairs);
	search->traces = (struct shared_trace *)(steps + shared->steps);
	search->ring = shared->traces / vcpus;
	search->traced = calloc(vcpus, sizeof(*search->traced));
	search->stacks = calloc(vcpus, sizeof(*search->stacks));
	search->profile = profile_open(shared, pairs, vcpus);
	search->scheduler = scheduler_open(header, shared, search->sites, steps, vcpus);
	if (!search->stacks || !search->traced || !search->profile || !search->scheduler)
		return NULL;
	*why = bad_sites(search);
	return *why ? NULL : search;
}

long search_find(const struct search *search, uint64_t address)
{
	unsigned int low = 0, high = search->shared->sites;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (search->sites[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < search->shared->sites && search->sites[low].address == address)
		return low;
	return -1;
}

static void trace(struct search *search, unsigned int vcpu, const struct access *access)
{
	size_t ring = (size_t)vcpu * search->ring;

	if (search->ring)
		search->traces[ring + search->traced[vcpu]++ % search->ring] =
			(struct shared_trace){ .time = access->time, .word = access->address,
					       .stack = search->stacks[vcpu],
					       .site = access->site, .vcpu = vcpu,
					       .store = access->store };
}

/*
 * Left out are user memory, and a vCPU's own stack: tasks hand no work to others there, but the
 * next task on another vCPU may get the same stack.
 */
void search_access(struct search *search, unsigned int vcpu, unsigned int number, uint64_t address,
		   bool store)
{
	struct shared_site *site = &search->sites[number];
	uint64_t stack = address >> search->shared->stack_shift;
	struct access access;
	unsigned int fresh;

	if (!__atomic_load_n(&search->header->armed, __ATOMIC_RELAXED))
		return;
	if (site->flags & SITE_STACK) {
		search->stacks[vcpu] = stack;
		return;
	}
	if (address < KERNEL_HALF || stack == search->stacks[vcpu])
		return;
	site->hits++; /* vCPUs may lose each other's counts: nothing is decided by it */
	site->stores |= store;
	add(&search->shared->accesses, 1);
	access = (struct access){ .time = now_ns(), .address = address, .site = number, .store = store };
	trace(search, vcpu, &access);
	if (site->flags & SITE_TRACE) {
		scheduler_progress(search->scheduler, vcpu);
		return;
	}
	fresh = profile_access(search->profile, vcpu, &access);
	scheduler_access(search->scheduler, vcpu, &access, fresh);
}

void search_rests(struct search *search, unsigned int vcpu, bool rests)
{
	scheduler_rests(search->scheduler, vcpu, rests);
}

void search_mark(struct search *search, unsigned int vcpu)
{
	scheduler_mark(search->scheduler, vcpu, search->stacks[vcpu]);
}
