/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that exec themselves, with arguments long enough to make their stacks large. */
#ifndef MMRACE_STORM_H
#define MMRACE_STORM_H

#include "stressor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096UL
#define ARGUMENT 120000UL	/* below the kernel's limit of 128 KiB a string */
#define STORMS 3
#define STORM_MIN 9		/* arguments of a storm */
#define STORM_MAX 15

/* Shared by all processes; its descriptor survives exec. */
struct board {
	atomic_ulong execs;
	atomic_ulong shifted;
	atomic_ulong aimed;	/* of exec-storm's movers */
	atomic_ulong compactions;
	atomic_ulong offlined;	/* of exec-offline's */
	atomic_ulong refused;
	atomic_bool stop;
};

static inline struct board *board_map(int fd)
{
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (board == MAP_FAILED)
		stressor_broken("mmap of the board");
	return board;
}

/* Where exec puts a stack before the shift: the end of the address space of 4 or 5 levels. */
static inline unsigned long stack_top(void)
{
	void *hint = (void *)(1UL << 55);
	void *got = mmap(hint, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool five_levels = got == hint;

	if (got == MAP_FAILED)
		stressor_broken("mmap at the top");
	munmap(got, PAGE);
	return (five_levels ? 1UL << 56 : 1UL << 47) - PAGE;
}

/* This process's stack ends elsewhere: the program's name and eight bytes of 0 are the last in it. */
static inline bool stack_shifted(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	unsigned long end = (unsigned long)name + strlen(name) + 1 + 8;

	return ((end + PAGE - 1) & ~(PAGE - 1)) != stack_top();
}

/* An argument of so many bytes, the 0 at its end among them. */
static inline char *argument(unsigned long bytes)
{
	char *made = malloc(bytes);

	if (!made)
		stressor_broken("malloc");
	memset(made, 'a', bytes - 1);
	made[bytes - 1] = '\0';
	return made;
}

/* Fill up argv with arguments of so many bytes in all; there must be room for them. */
static inline void make_arguments(char **argv, unsigned long bytes)
{
	while (bytes) {
		unsigned long length = bytes < ARGUMENT ? bytes : ARGUMENT;

		*argv++ = argument(length);
		bytes -= length;
	}
}

static inline void limit_stack(rlim_t bytes)
{
	const struct rlimit stack = { bytes, RLIM_INFINITY };

	if (setrlimit(RLIMIT_STACK, &stack))
		stressor_broken("setrlimit");
}

/* argv: program, "storm", the board's descriptor, then arguments that only have to be long. */
static inline bool is_storm(int argc, char **argv)
{
	return argc > 2 && !strcmp(argv[1], "storm");
}

static inline int storm(char **argv)
{
	struct board *board = board_map(atoi(argv[2]));

	atomic_fetch_add(&board->execs, 1);
	if (stack_shifted())
		atomic_fetch_add(&board->shifted, 1);
	if (atomic_load(&board->stop))
		return STRESSOR_HELD;
	stressor_rest();
	execv("/proc/self/exe", argv);
	stressor_broken("exec of itself");
	return STRESSOR_BROKEN;
}

/* A child that execs itself with 1 to 2 MB of arguments until the board says stop. */
static inline pid_t start_storm(char *program, int fd)
{
	char number[16], *argv[3 + STORM_MAX + 1] = { program, "storm", number };
	int arguments = STORM_MIN + rand() % (STORM_MAX - STORM_MIN + 1);
	pid_t pid = stressor_spawn(1);

	if (pid)
		return pid;
	snprintf(number, sizeof(number), "%d", fd);
	make_arguments(argv + 3, arguments * ARGUMENT);
	execv("/proc/self/exe", argv);
	stressor_broken("first exec");
	return pid;
}

/* Let them storm for so many seconds; returns the program's exit code. */
static inline int run_storms(struct board *board, double seconds, void (*say)(void *board))
{
	int result;

	stressor_watch(stressor_now() + seconds, say, board);
	atomic_store(&board->stop, true);
	result = stressor_reap();
	say(board);
	return result;
}

#endif
