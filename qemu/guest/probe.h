/* SPDX-License-Identifier: GPL-2.0-only */
/* Kprobe events that are only counted: proof that a point in the kernel was reached. */
#ifndef MMRACE_PROBE_H
#define MMRACE_PROBE_H

/* "NAME FUNCTION[,FUNCTION...] [RETVAL]"; a probe that cannot be set is named on the channel. */
void probe_add(char *spec);

/* Say the counts that have changed. */
void probe_say(void);

#endif
