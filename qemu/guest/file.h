/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files of proc, sysfs and tracefs. */
#ifndef MMRACE_FILE_H
#define MMRACE_FILE_H

#include <stddef.h>

/* Read all that fits, NUL-terminated; its length, or -1 with errno. */
long file_read(const char *path, char *buffer, size_t size);

/* Write in one call, as such files want it; 0, or -1 with errno. */
int file_write(const char *path, const char *text);
int file_append(const char *path, const char *text);

/* The number that is all of the file; -1 when there is none. */
long file_number(const char *path);

#endif
