// SPDX-License-Identifier: GPL-2.0-only
/*
 * What exec costs, for exec-stack-migration (fixed by commit a8bef8ff6ea1, v2.6.35): this program
 * execs itself with as many bytes of arguments as it is told, again and again. Counted outside.
 *
 * argv: program, bytes. It then hands itself on: program, "again", execs left, those that had
 * their stack shifted, arguments that only have to be long.
 */
#include "storm.h"

#define EXECS 40
#define FIXED 4			/* arguments before the long ones */
#define ARGUMENTS_MAX 20

static void hand_on(char **argv, int left, int shifted)
{
	char numbers[2][16];

	snprintf(numbers[0], sizeof(numbers[0]), "%d", left);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", shifted);
	argv[2] = numbers[0];
	argv[3] = numbers[1];
	execv("/proc/self/exe", argv);
	stressor_broken("exec of itself");
}

static int again(char **argv)
{
	int left = atoi(argv[2]), shifted = atoi(argv[3]) + stack_shifted();

	if (left)
		hand_on(argv, left - 1, shifted);
	stressor_count("execs", EXECS);
	stressor_count("shifted", shifted);
	return STRESSOR_HELD;
}

int main(int argc, char **argv)
{
	char *long_argv[FIXED + ARGUMENTS_MAX + 1] = { "exec-cost", "again" };
	unsigned long bytes;

	if (argc > FIXED && !strcmp(argv[1], "again"))
		return again(argv);
	bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	if (!bytes || bytes > ARGUMENT * ARGUMENTS_MAX) {
		stressor_say("usage: exec-cost BYTES, at most %lu", ARGUMENT * ARGUMENTS_MAX);
		return STRESSOR_BROKEN;
	}
	limit_stack(16 << 20);
	make_arguments(long_argv + FIXED, bytes);
	stressor_race();
	hand_on(long_argv, EXECS - 1, 0);
	return STRESSOR_BROKEN;
}
