/* SPDX-License-Identifier: GPL-2.0-only */
/* Random schedules: which vCPU runs, and which is held, decided at their accesses. */
#ifndef DIRECTOR_SCHEDULE_H
#define DIRECTOR_SCHEDULE_H

#include "profile.h"
#include "shared.h"

struct scheduler;

/* NULL when there is no memory. */
struct scheduler *scheduler_open(struct shared_header *header, struct shared_search *search,
				 struct shared_site *sites, struct shared_step *steps,
				 unsigned int vcpus);

/*
 * A vCPU has made an access that brought `fresh` new pairs; returns when it may go on.
 */
void scheduler_access(struct scheduler *scheduler, unsigned int vcpu, const struct access *access,
		      unsigned int fresh);

/* A vCPU has made an access that no schedule is about. */
void scheduler_progress(struct scheduler *scheduler, unsigned int vcpu);

/* A vCPU rests, or goes on after that. */
void scheduler_rests(struct scheduler *scheduler, unsigned int vcpu, bool rests);

/* The kernel reports a failure; `stack` is the number of the stack that the vCPU is on. */
void scheduler_mark(struct scheduler *scheduler, unsigned int vcpu, uint64_t stack);

#endif
