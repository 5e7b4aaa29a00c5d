// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channel.h"
#include "counter.h"
#include "delay.h"
#include "file.h"
#include "probe.h"

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define ITEMS 256
#define SETTLE_STEPS 50		/* of 100 ms */

static const char *const families[] = {
	"pgmigrate_", "thp_", "htlb_", "compact_", "pgfault", "pgmajfault", "ksm_", "cow_ksm",
	"numa_pages_migrated", "numa_pte_updates", "oom_kill", "pswp", "swap_ra",
};

static struct {
	char name[48];
	unsigned long zero;
	unsigned long said;
} items[ITEMS];
static unsigned int item_count;

static bool relevant(const char *name)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (!strncmp(name, families[i], strlen(families[i])))
			return true;
	return false;
}

/* Per-CPU differences are folded now rather than at the next second. */
static long vmstat(char *buffer, size_t size)
{
	file_write("/proc/sys/vm/stat_refresh", "1");
	return file_read("/proc/vmstat", buffer, size);
}

void counter_begin(void)
{
	static char buffer[32768];
	char *rest = buffer;
	char *line;

	item_count = 0;
	if (vmstat(buffer, sizeof(buffer)) < 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		char *name = strsep(&line, " ");

		if (!line || !relevant(name) || item_count == ITEMS)
			continue;
		snprintf(items[item_count].name, sizeof(items[0].name), "%s", name);
		items[item_count++].zero = strtoul(line, NULL, 10);
	}
}

static void say_vmstat(void)
{
	static char buffer[32768];
	unsigned int next = 0;
	char *rest = buffer;
	char *line;

	if (vmstat(buffer, sizeof(buffer)) < 0)
		return;
	/* The order of the lines does not change while a kernel runs. */
	while ((line = strsep(&rest, "\n")) && next < item_count) {
		char *name = strsep(&line, " ");
		unsigned long value;

		if (!line || strcmp(name, items[next].name))
			continue;
		value = strtoul(line, NULL, 10) - items[next].zero;
		if (value != items[next].said)
			channel_say("# count vmstat:%s %lu", name, value);
		items[next++].said = value;
	}
}

void counter_say(void)
{
	say_vmstat();
	probe_say();
	delay_say();
}

static long vmstat_sum(const char *text, const char *first, const char *second)
{
	const char *a = strstr(text, first);
	const char *b = strstr(text, second);

	if (!a || !b)
		return -1;
	return strtol(a + strlen(first), NULL, 10) + strtol(b + strlen(second), NULL, 10);
}

struct invariants invariants_read(void)
{
	static char buffer[32768];
	struct invariants now = {
		.hugepages_free = file_number(HUGEPAGES "free_hugepages"),
		.hugepages_rsvd = file_number(HUGEPAGES "resv_hugepages"),
		.isolated = -1,
	};

	/* Per-CPU counts that are not folded yet make a balanced book look unbalanced. */
	file_write("/proc/sys/vm/stat_refresh", "1");
	if (vmstat(buffer, sizeof(buffer)) >= 0)
		now.isolated = vmstat_sum(buffer, "nr_isolated_anon ", "nr_isolated_file ");
	return now;
}

void invariants_say(const struct invariants *now)
{
	/* A kernel without the thing has no such invariant. */
	if (now->hugepages_free >= 0)
		channel_say("# invariant hugepages_free %ld", now->hugepages_free);
	if (now->hugepages_rsvd >= 0)
		channel_say("# invariant hugepages_rsvd %ld", now->hugepages_rsvd);
	if (now->isolated >= 0)
		channel_say("# invariant isolated %ld", now->isolated);
}

struct invariants invariants_settle(const struct invariants *before)
{
	struct invariants now = invariants_read();

	for (int i = 0; i < SETTLE_STEPS && memcmp(&now, before, sizeof(now)); i++) {
		struct timespec step = { .tv_nsec = 100 * 1000 * 1000 };

		nanosleep(&step, NULL);
		now = invariants_read();
	}
	return now;
}
