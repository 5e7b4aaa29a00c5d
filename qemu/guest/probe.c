// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "file.h"
#include "probe.h"

#define TRACING "/sys/kernel/tracing/"
#define PROBES 64
#define NAME 64

/* Its events are NAME, NAME__1, NAME__2 and so on: one for each place of the function. */
static struct probe {
	char name[NAME];
	bool filtered;
	unsigned long said;
} probes[PROBES];
static unsigned int count;

/*
 * The compiler may have changed a static function's arguments and said so in its symbol.
 * The name found goes to found[size].
 */
static bool find_variant(const char *function, char *found, size_t size)
{
	size_t length = strlen(function);
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char name[128];
	bool seen = false;

	if (!symbols)
		return false;
	while (!seen && fscanf(symbols, "%*s %*s %127s%*[^\n]", name) == 1)
		seen = !strncmp(name, function, length) &&
		       (!strncmp(name + length, ".isra.", 6) ||
			!strncmp(name + length, ".constprop.", 11));
	fclose(symbols);
	if (seen)
		snprintf(found, size, "%s", name);
	return seen;
}

static void name_event(const struct probe *probe, unsigned int place, char *name)
{
	if (place)
		snprintf(name, NAME, "%.48s__%u", probe->name, place);
	else
		snprintf(name, NAME, "%s", probe->name);
}

/* A kretprobe that finds no free instance misses a return, hence room for 64 at a time. */
static int define(const struct probe *probe, unsigned int place, const char *function)
{
	char line[256], name[NAME];

	name_event(probe, place, name);
	if (probe->filtered)
		snprintf(line, sizeof(line), "r64:mmrace/%s %s retval=$retval:s32\n", name, function);
	else
		snprintf(line, sizeof(line), "p:mmrace/%s %s\n", name, function);
	return file_append(TRACING "kprobe_events", line);
}

static int define_first(const struct probe *probe, char *functions)
{
	char variant[128];
	char *function;
	int error = ENOENT;

	while ((function = strsep(&functions, ","))) {
		if (!define(probe, 0, function))
			return 0;
		error = errno;
		if (error == ENOENT && find_variant(function, variant, sizeof(variant)) &&
		    !define(probe, 0, variant))
			return 0;
	}
	errno = error;
	return -1;
}

/*
 * kprobe_profile counts each hit of an enabled event. A return value needs a histogram with a
 * filter; it counts although nothing is recorded.
 */
static int start(const struct probe *probe, unsigned int place, const char *retval)
{
	char path[160], trigger[96], name[NAME];

	name_event(probe, place, name);
	snprintf(path, sizeof(path), TRACING "events/mmrace/%s/%s", name,
		 probe->filtered ? "trigger" : "enable");
	if (!probe->filtered)
		return file_write(path, "1");
	snprintf(trigger, sizeof(trigger), "hist:keys=retval if retval==%s", retval);
	return file_append(path, trigger);
}

/* All places of one function: what one of them refuses is missing from the sum, and said. */
static int define_all(const struct probe *probe, char *places)
{
	unsigned int defined = 0;
	char *place;

	while ((place = strsep(&places, "+"))) {
		if (!define(probe, defined, place) && !start(probe, defined, NULL))
			defined++;
		else
			channel_say("# note probe %s: %s cannot be counted: %s", probe->name, place,
				    strerror(errno));
	}
	return defined ? 0 : -1;
}

void probe_add(char *spec)
{
	struct probe *probe = &probes[count];
	const char *name = strsep(&spec, " ");
	char *functions = strsep(&spec, " ");

	if (!functions || count == PROBES) {
		channel_say("# note probe %s: %s", name, functions ? "too many" : "no function");
		return;
	}
	snprintf(probe->name, sizeof(probe->name), "%s", name);
	probe->filtered = spec;
	probe->said = 0;
	if (!count)
		file_write(TRACING "tracing_on", "0");
	if (*functions == '+') {
		if (define_all(probe, functions + 1))
			return;
	} else if (define_first(probe, functions)) {
		channel_say("# note probe %s: %s", name,
			    errno == ENOENT ? "no such function" : strerror(errno));
		return;
	} else if (start(probe, 0, spec)) {
		channel_say("# note probe %s: cannot be counted: %s", name, strerror(errno));
		return;
	}
	count++;
}

static unsigned long hits_filtered(const struct probe *probe)
{
	static char buffer[16384];
	char path[160];
	const char *hits;

	snprintf(path, sizeof(path), TRACING "events/mmrace/%s/hist", probe->name);
	if (file_read(path, buffer, sizeof(buffer)) < 0)
		return 0;
	hits = strstr(buffer, "Totals:");
	hits = hits ? strstr(hits, "Hits: ") : NULL;
	return hits ? strtoul(hits + 6, NULL, 10) : 0;
}

static bool is_event_of(const struct probe *probe, const char *event)
{
	size_t length = strnlen(probe->name, 48);

	if (!strcmp(event, probe->name))
		return true;
	return !strncmp(event, probe->name, length) && !strncmp(event + length, "__", 2) &&
	       strspn(event + length + 2, "0123456789") == strlen(event + length + 2);
}

/* A line is an event's name, its hits and its misses, in columns. */
static unsigned long hits_plain(const struct probe *probe, const char *profile)
{
	char event[NAME];
	unsigned long hits, sum = 0;

	while (profile && *profile) {
		if (sscanf(profile, " %63s %lu", event, &hits) == 2 && is_event_of(probe, event))
			sum += hits;
		profile = strchr(profile, '\n');
		profile = profile ? profile + 1 : NULL;
	}
	return sum;
}

void probe_say(void)
{
	static char profile[16384];

	if (!count)
		return;
	if (file_read(TRACING "kprobe_profile", profile, sizeof(profile)) < 0)
		*profile = '\0';
	for (struct probe *probe = probes; probe < probes + count; probe++) {
		unsigned long hits = probe->filtered ? hits_filtered(probe) :
						       hits_plain(probe, profile);

		if (hits != probe->said)
			channel_say("# count probe:%s %lu", probe->name, hits);
		probe->said = hits;
	}
}
