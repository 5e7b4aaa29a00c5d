// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "file.h"
#include "limits.h"

#define CGROUP "/sys/fs/cgroup"
#define GROUP CGROUP "/reproducer"
#define TASKS "4096"

static bool grouped;

/* Without the controller all tasks of the machine are limited, the kernel's own among them. */
static void limit_tasks(void)
{
	file_write(CGROUP "/cgroup.subtree_control", "+pids");
	mkdir(GROUP, 0755);
	grouped = !file_write(GROUP "/pids.max", TASKS);
	if (!grouped && file_write("/proc/sys/kernel/threads-max", TASKS))
		channel_say("# note nothing limits how many processes the program makes");
}

void limits_set(void)
{
	const struct sched_param highest = {
		.sched_priority = sched_get_priority_max(SCHED_RR),
	};

	limit_tasks();
	/* Neither paged out nor behind thousands of tasks in the run queue; children are as any. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) ||
	    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &highest))
		channel_say("# note PID 1 has no precedence over the program");
}

void limits_enter(void)
{
	if (grouped)
		file_write(GROUP "/cgroup.procs", "0");
}
