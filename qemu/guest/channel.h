/* SPDX-License-Identifier: GPL-2.0-only */
/* The result channel: KTAP lines on the second serial port, see docs/reference/result-channel.md. */
#ifndef MMRACE_CHANNEL_H
#define MMRACE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

/* Until this has succeeded, lines go to the console. 0, or -1 with errno. */
int channel_open(const char *path);

/* One line; the newline is added. Longer ones are cut. */
__attribute__((format(printf, 1, 2))) void channel_say(const char *format, ...);

/* A line made of PREFIX and of bytes from elsewhere, escaped so that they stay on it. */
void channel_quote(const char *prefix, const char *text, size_t length);

/* For poll(2): readable when the host has written. */
int channel_input(void);

/* Read what the host has written, without waiting. */
void channel_hear(void);

/* Whether the host has said "enough", in what was read so far. */
bool channel_enough(void);

/* Return when the host has everything. */
void channel_drain(void);

#endif
