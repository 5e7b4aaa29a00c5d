// SPDX-License-Identifier: GPL-2.0-only
/* Says on standard error what the program argv[1] misses here, as PID 1 would. */
#include <unistd.h>

#include "launch.h"
#include "missing.h"

void launch(const struct job *job, unsigned long seed, int output)
{
	(void)seed;
	(void)output;
	execv(job->argv[0], job->argv);
	_exit(127);
}

int main(int argc, char *argv[])
{
	struct job job = { .procs = 1 };

	if (argc == 2)
		job.argv[0] = argv[1];
	missing_trace(&job, 1, -1);
}
