// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "channel.h"
#include "delay.h"
#include "file.h"
#include "setup.h"

#define MODULE "/mmrace/delay.ko"
#define CONTROL "/sys/kernel/debug/mmrace-delay/"

static bool loaded;
static bool now_armed;

static int load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result, error;

	if (fd < 0)
		return -1;
	result = syscall(SYS_finit_module, fd, parameters, 0);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

void delay_set(const struct job *job)
{
	char parameters[48];

	if (!job->window_count)
		return;
	snprintf(parameters, sizeof(parameters), "seed=%lu", job->seed);
	if (load(MODULE, parameters))
		setup_bail("the module that delays cannot be loaded: %s", strerror(errno));
	for (unsigned int i = 0; i < job->window_count; i++)
		if (file_write(CONTROL "windows", job->windows[i]))
			setup_bail("a point cannot be probed (%s), see the console; window %s",
				   strerror(errno), job->windows[i]);
	loaded = true;
}

void delay_arm(bool armed)
{
	if (!loaded || armed == now_armed)
		return;
	now_armed = armed;
	file_write(CONTROL "armed", armed ? "1" : "0");
}

void delay_say(void)
{
	static char said[4096];
	char now[sizeof(said)], *rest = now, *line;

	if (!loaded || file_read(CONTROL "windows", now, sizeof(now)) < 0 || !strcmp(now, said))
		return;
	memcpy(said, now, sizeof(said));
	while ((line = strsep(&rest, "\n")))
		if (*line)
			channel_say("# window %s", line);
}
