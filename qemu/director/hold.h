/* SPDX-License-Identifier: GPL-2.0-only */
/* Who waits for whom: the part of the director that knows nothing of QEMU. */
#ifndef DIRECTOR_HOLD_H
#define DIRECTOR_HOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "shared.h"

struct director;
struct search;

/* All roles of one address: points[first] .. points[first + count - 1]. */
struct place {
	uint64_t address;
	unsigned int first;
	unsigned int count;
	bool chained; /* lets go in one window and holds in another */
};

/*
 * Take a mapped state file of `size` bytes for a machine of `vcpus`. NULL when it is not one that
 * this director understands; `why` then says what is wrong.
 */
struct director *director_open(void *map, size_t size, unsigned int vcpus, const char **why);

/* Whether the race phase is on. */
bool director_armed(const struct director *director);

/* What chooses schedules by itself, or NULL. */
struct search *director_search(const struct director *director);

/* The place at an address, or NULL. */
struct place *director_find(const struct director *director, uint64_t address);

/* From now on it is told what QEMU translates. */
void director_watches(struct director *director);

/* QEMU has translated this place's instruction. */
void director_translated(struct director *director, const struct place *place);

/* Whether instructions have to be counted. */
bool director_counts(const struct director *director);

/* A vCPU has begun a block of `instructions`. */
void director_block(struct director *director, unsigned int vcpu, unsigned int instructions);

/*
 * A vCPU is about to execute the instruction of a place; returns when it may. `ahead` is how many
 * instructions of what director_block() announced, this one included, are not executed yet.
 */
void director_reach(struct director *director, unsigned int vcpu, const struct place *place,
		    unsigned int ahead);

#endif
