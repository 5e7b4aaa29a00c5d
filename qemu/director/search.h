/* SPDX-License-Identifier: GPL-2.0-only */
/* The profile and the scheduler over the state file's sites: what the plugin calls. */
#ifndef DIRECTOR_SEARCH_H
#define DIRECTOR_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared.h"

struct search;

/* Bytes of the search's part of a state file; 0 for a table whose size is no power of two. */
size_t search_size(const struct shared_search *shared);

/* Take the search's part of a mapped state file; NULL and `why` when that cannot be. */
struct search *search_open(struct shared_header *header, struct shared_search *shared,
			   unsigned int vcpus, const char **why);

/* The site at an address, or -1. */
long search_find(const struct search *search, uint64_t address);

/* A vCPU has made an access at a site; returns when it may go on. */
void search_access(struct search *search, unsigned int vcpu, unsigned int site, uint64_t address,
		   bool store);

/* A vCPU rests, or goes on after that. */
void search_rests(struct search *search, unsigned int vcpu, bool rests);

/* The kernel reports a failure. */
void search_mark(struct search *search, unsigned int vcpu);

#endif
