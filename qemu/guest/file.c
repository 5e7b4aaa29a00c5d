// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

long file_read(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (used < size - 1) {
		got = read(fd, buffer + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += got;
	}
	buffer[used] = '\0';
	close(fd);
	return got < 0 ? -1 : (long)used;
}

static int put(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	ssize_t done;
	int error;

	if (fd < 0)
		return -1;
	do {
		done = write(fd, text, strlen(text));
	} while (done < 0 && errno == EINTR);
	error = errno;
	close(fd);
	errno = error;
	return done < 0 ? -1 : 0;
}

int file_write(const char *path, const char *text)
{
	return put(path, text, 0);
}

int file_append(const char *path, const char *text)
{
	return put(path, text, O_APPEND);
}

long file_number(const char *path)
{
	char buffer[64];
	char *end;
	long value;

	if (file_read(path, buffer, sizeof(buffer)) < 0)
		return -1;
	value = strtol(buffer, &end, 10);
	return end == buffer ? -1 : value;
}
