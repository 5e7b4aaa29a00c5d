/* SPDX-License-Identifier: GPL-2.0-only */
/* Windows that a module of the image keeps (qemu/kprobe-delay), where nothing outside steers. */
#ifndef MMRACE_DELAY_H
#define MMRACE_DELAY_H

#include <stdbool.h>

#include "job.h"

/* Load the module and give it the job's windows, if there are any; ends the guest if that fails. */
void delay_set(const struct job *job);

/* Begin or end the race phase. */
void delay_arm(bool armed);

/* Say the counts that have changed. */
void delay_say(void);

#endif
