// SPDX-License-Identifier: GPL-2.0-only
/* What PID 1 understands of the job file argv[1], one item a line. */
#include <stdio.h>

#include "job.h"

static void list(const char *key, char *const items[], unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		printf("%s=%s\n", key, items[i]);
}

int main(int argc, char *argv[])
{
	const char *error = "";
	const struct job *job = argc == 2 ? job_read(argv[1], &error) : NULL;

	if (!job) {
		printf("error=%s\n", error);
		return 1;
	}
	printf("name=%s\nseconds=%g\nat-most=%g\nannounced=%d\nseed=%lu\niterations=%lu\n"
	       "failures=%lu\nskip=%d,%d\nshell=%d\nprocs=%u\nuid=%u\n",
	       job->name, job->seconds, job->at_most, job->announced, job->seed, job->iterations,
	       job->failures, job->skip_code, job->skip_ignored, job->shell, job->procs, job->uid);
	if (job->returns)
		printf("returns\n");
	if (job->zram)
		printf("zram\n");
	for (int node = 0; node < JOB_LIST; node++)
		if (job->hugepages[node] >= 0)
			printf("hugepages=%d,%ld\n", node, job->hugepages[node]);
	list("window", job->windows, job->window_count);
	if (job->arm_at_start)
		printf("arm-at-start\n");
	list("write", job->writes, job->write_count);
	list("probe", job->probes, job->probe_count);
	list("env", job->env, job->envs);
	list("arg", job->argv, job->args);
}
