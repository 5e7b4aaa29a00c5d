// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "channel.h"
#include "delay.h"
#include "output.h"

#define PIECE 400	/* longer lines are split */
#define DIRECT 100	/* lines that pass at once in a period */
#define URGENT 50	/* of "mmrace: race" and "mmrace: fail", beyond those */
#define KEPT 40
#define COUNTERS 64

struct text {
	char bytes[PIECE];
	size_t length;
};

static struct text partial;
static struct text kept[KEPT];
static struct text counters[COUNTERS];
static unsigned int direct, urgent, late, counters_used;
static bool raced;

static void send(const struct text *line)
{
	channel_quote("# out ", line->bytes, line->length);
}

static bool starts(const struct text *line, const char *with)
{
	size_t length = strlen(with);

	return line->length >= length && !memcmp(line->bytes, with, length);
}

/* Length of "mmrace: count NAME ", 0 for any other line. */
static size_t counter_key(const struct text *line)
{
	static const char prefix[] = "mmrace: count ";
	const char *space;

	if (!starts(line, prefix))
		return 0;
	space = memchr(line->bytes + sizeof(prefix) - 1, ' ', line->length - (sizeof(prefix) - 1));
	return space ? space - line->bytes + 1 : 0;
}

/* A later value of the same counter replaces the one that waits. */
static bool keep_counter(const struct text *line)
{
	size_t key = counter_key(line);
	unsigned int i;

	if (!key)
		return false;
	for (i = 0; i < counters_used; i++)
		if (counter_key(&counters[i]) == key && !memcmp(counters[i].bytes, line->bytes, key))
			break;
	if (i == COUNTERS)
		return false;
	if (i == counters_used)
		counters_used++;
	counters[i] = *line;
	return true;
}

static void take(const struct text *line)
{
	bool is_urgent = starts(line, "mmrace: race") || starts(line, "mmrace: fail");

	if (starts(line, "mmrace: race")) {
		raced = true;
		delay_arm(true);
	}
	if (is_urgent && urgent < URGENT) {
		urgent++;
		send(line);
	} else if (direct < DIRECT && !late) {
		direct++;
		send(line);
	} else if (!keep_counter(line)) {
		kept[late++ % KEPT] = *line;
	}
}

static void end_line(void)
{
	take(&partial);
	partial.length = 0;
}

void output_begin(void)
{
	raced = false;
}

bool output_raced(void)
{
	return raced;
}

void output_feed(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] == '\n') {
			end_line();
			continue;
		}
		if (partial.length == PIECE)
			end_line();
		partial.bytes[partial.length++] = data[i];
	}
}

void output_period(void)
{
	unsigned int first = late > KEPT ? late - KEPT : 0;

	if (first)
		channel_say("# note dropped %u lines of output", first);
	for (unsigned int i = first; i < late; i++)
		send(&kept[i % KEPT]);
	for (unsigned int i = 0; i < counters_used; i++)
		send(&counters[i]);
	direct = urgent = late = counters_used = 0;
}

void output_end(void)
{
	if (partial.length)
		end_line();
	output_period();
}
