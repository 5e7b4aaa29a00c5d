/* SPDX-License-Identifier: GPL-2.0-only */
/* Which accesses of two vCPUs meet in one word. */
#ifndef DIRECTOR_PROFILE_H
#define DIRECTOR_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared.h"

struct profile;

/* One access to memory, as QEMU tells of it afterwards. */
struct access {
	uint64_t time;
	uint64_t address;
	uint32_t site;
	bool store;
};

/* NULL when there is no memory. */
struct profile *profile_open(struct shared_search *search, struct shared_pair *pairs,
			     unsigned int vcpus);

/* A vCPU has made an access. Returns how many pairs it made that were not there before. */
unsigned int profile_access(struct profile *profile, unsigned int vcpu,
			    const struct access *access);

#endif
