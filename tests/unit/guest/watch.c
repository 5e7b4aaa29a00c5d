// SPDX-License-Identifier: GPL-2.0-only
/* Counts for 1.8 seconds, as stressors do while their children work. */
#include "stressor.h"

static void say(void *what)
{
	unsigned long *turns = what;

	stressor_count("turns", ++*turns);
}

int main(void)
{
	unsigned long turns = 0;

	stressor_watch(stressor_now() + 1.8, say, &turns);
	say(&turns);
}
