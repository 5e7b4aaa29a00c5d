/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the workload prints, line by line to the result channel.
 *
 * In each period (about a second) a number of lines passes at once. Of the rest the last ones are
 * kept and come at the period's end, after a note that says how many were dropped: the end of a
 * program's output is where its summary is. The last value of a stressor's counter and a seen
 * race always get through.
 */
#ifndef MMRACE_OUTPUT_H
#define MMRACE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* A program starts. */
void output_begin(void);

/* Whether the program has said "mmrace: race" since it started. */
bool output_raced(void);

void output_feed(const char *data, size_t length);

/* The period is over: what was kept back is sent. */
void output_period(void);

/* The program is gone: a last line without a newline is a line too. */
void output_end(void);

#endif
