// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "file.h"
#include "swap.h"

#define DEVICE "/dev/zram0"
#define MEBIBYTES 512
#define PAGE 4096

/* The first page of a swap area: struct swap_header in include/linux/swap.h. */
union header {
	struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
	} info;
	struct {
		char reserved[PAGE - 10];
		char magic[10];
	} mark;
};

_Static_assert(sizeof(union header) == PAGE, "a page");

static int write_header(void)
{
	static union header header;
	int fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	ssize_t done;

	if (fd < 0)
		return -1;
	header.info.version = 1;
	header.info.last_page = MEBIBYTES * (1024 * 1024 / PAGE) - 1;
	memcpy(header.mark.magic, "SWAPSPACE2", sizeof(header.mark.magic));
	done = write(fd, &header, sizeof(header));
	/* What was written late would be missing for swapon(2). */
	if (done == sizeof(header) && !fsync(fd))
		return close(fd);
	close(fd);
	return -1;
}

int swap_on_zram(void)
{
	char size[24];

	snprintf(size, sizeof(size), "%dM", MEBIBYTES);
	if (file_write("/sys/block/zram0/disksize", size) || write_header())
		return -1;
	return swapon(DEVICE, 0);
}
