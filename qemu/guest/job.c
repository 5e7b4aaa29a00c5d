// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "job.h"

static char text[65536];
static struct job job;

static const char *append(char *list[], unsigned int *count, char *value)
{
	if (*count == JOB_LIST)
		return "too many lines of one kind";
	list[(*count)++] = value;
	return NULL;
}

static const char *take_hugepages(const char *value)
{
	unsigned int node;
	long pages;

	if (sscanf(value, "%u %ld", &node, &pages) != 2 || node >= JOB_LIST || pages < 0)
		return "hugepages: not NODE N";
	job.hugepages[node] = pages;
	return NULL;
}

static const char *take(const char *key, char *value)
{
	if (!strcmp(key, "name"))
		job.name = value;
	else if (!strcmp(key, "seconds"))
		job.seconds = strtod(value, NULL);
	else if (!strcmp(key, "at-most"))
		job.at_most = strtod(value, NULL);
	else if (!strcmp(key, "announced"))
		job.announced = true;
	else if (!strcmp(key, "seed"))
		job.seed = strtoul(value, NULL, 10);
	else if (!strcmp(key, "iterations"))
		job.iterations = strtoul(value, NULL, 10);
	else if (!strcmp(key, "failures"))
		job.failures = strtoul(value, NULL, 10);
	else if (!strcmp(key, "skip"))
		return sscanf(value, "%d %d", &job.skip_code, &job.skip_ignored) == 2 ?
			       NULL : "skip: not CODE IGNORED";
	else if (!strcmp(key, "procs"))
		job.procs = strtoul(value, NULL, 10);
	else if (!strcmp(key, "returns"))
		job.returns = true;
	else if (!strcmp(key, "uid"))
		job.uid = strtoul(value, NULL, 10);
	else if (!strcmp(key, "zram"))
		job.zram = true;
	else if (!strcmp(key, "shell"))
		job.shell = true;
	else if (!strcmp(key, "hugepages"))
		return take_hugepages(value);
	else if (!strcmp(key, "arg"))
		return append(job.argv, &job.args, value);
	else if (!strcmp(key, "env"))
		return append(job.env, &job.envs, value);
	else if (!strcmp(key, "probe"))
		return append(job.probes, &job.probe_count, value);
	else if (!strcmp(key, "window"))
		return append(job.windows, &job.window_count, value);
	else if (!strcmp(key, "arm-at-start"))
		job.arm_at_start = true;
	else if (!strcmp(key, "write"))
		return append(job.writes, &job.write_count, value);
	else
		return "unknown key";
	return NULL;
}

const struct job *job_read(const char *path, const char **error)
{
	char *rest = text;
	char *line;

	if (file_read(path, text, sizeof(text)) < 0) {
		*error = "cannot be read";
		return NULL;
	}
	job.name = "workload";
	job.failures = 1;
	job.skip_code = -1;
	for (int node = 0; node < JOB_LIST; node++)
		job.hugepages[node] = -1;
	while ((line = strsep(&rest, "\n"))) {
		char *key = strsep(&line, " ");
		static char nothing[1];

		if (!*key)
			continue;
		*error = take(key, line ? line : nothing);
		if (*error)
			return NULL;
	}
	if (!job.at_most)
		job.at_most = job.seconds;
	if (!job.args && !job.shell) {
		*error = "names no program";
		return NULL;
	}
	return &job;
}
