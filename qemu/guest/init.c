// SPDX-License-Identifier: GPL-2.0-only
/* PID 1 of the guest: sets up, runs the workload of /mmrace/job, reports, powers off. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "channel.h"
#include "counter.h"
#include "job.h"
#include "setup.h"
#include "workload.h"

#define KERNEL_CONFIG "/mmrace/config"

static void settle_in(void)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	file_write("/proc/self/oom_score_adj", "-1000");
	/* Everything the kernel says belongs on the console. */
	file_write("/proc/sys/kernel/printk", "8");
	clearenv();
	setenv("PATH", WORKLOAD_DIR ":/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("TMPDIR", "/tmp", 1);
	/* LTP asks what the kernel was built with. */
	if (!access(KERNEL_CONFIG, R_OK))
		setenv("KCONFIG_PATH", KERNEL_CONFIG, 1);
}

static void run(const struct job *job)
{
	struct invariants before, after;
	unsigned long reported;

	counter_begin();
	before = invariants_read();
	invariants_say(&before);
	reported = workload_loop(job);
	if (job->procs)
		workload_trace(job);
	after = invariants_settle(&before);
	invariants_say(&after);
	channel_say("1..%lu", reported);
	channel_say("# end");
}

int main(void)
{
	const struct job *job;
	const char *error;
	struct utsname name;

	/* The image's /bin/true, which tests execute. */
	if (getpid() != 1)
		return 0;
	setup_mounts();
	if (channel_open("/dev/ttyS1"))
		setup_bail("cannot open /dev/ttyS1: %s", strerror(errno));
	channel_say("KTAP version 1");
	if (!uname(&name))
		channel_say("# release %s", name.release);
	settle_in();
	job = job_read("/mmrace/job", &error);
	if (!job)
		setup_bail("/mmrace/job: %s", error);
	setup_job(job);
	if (!job->shell)
		run(job);
	else if (workload_shell())
		setup_bail("no shell in this image");
	setup_power_off();
}
