// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: exec-stack-migration, for kernels on which compaction is not there yet and move_pages(2)
 * holds the lock that exec holds: there, taking memory offline moves pages beside an exec.
 *
 * CPU 1: processes that exec themselves again and again, with 1 to 2 MB of arguments.
 * CPU 0: one process takes each block of memory that it can offline, which moves all pages out of
 * it, and online again.
 */
#include "stressor.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SECONDS 5
#define STORMS 3
#define PAGE 4096UL
#define STACK_TOP ((1UL << 47) - PAGE)	/* where exec puts a stack before the shift */
#define ARGUMENT 120000		/* below the kernel's limit of 128 KiB a string */
#define ARGUMENTS_MIN 9
#define ARGUMENTS_MAX 15
#define BLOCKS 512
#define STATE "/sys/devices/system/memory/memory%d/state"

/* Shared by all processes; its descriptor survives exec. */
struct board {
	atomic_ulong execs;
	atomic_ulong shifted;
	atomic_ulong offlined;
	atomic_ulong refused;
	atomic_bool stop;
};

static struct board *map_board(int fd)
{
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (board == MAP_FAILED)
		stressor_broken("mmap of the board");
	return board;
}

/* memfd_create(2) is younger than these kernels. */
static int make_board(void)
{
	char path[] = "/tmp/board-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, PAGE))
		stressor_broken("the board's file");
	return fd;
}

/* The end of this process's stack: the program's name and eight bytes of 0 are the last in it. */
static unsigned long stack_end(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	return ((unsigned long)name + strlen(name) + 1 + 8 + PAGE - 1) & ~(PAGE - 1);
}

/* argv: program, "storm", the board's descriptor, then arguments that only have to be long. */
static int storm(char **argv)
{
	struct board *board = map_board(atoi(argv[2]));

	atomic_fetch_add(&board->execs, 1);
	if (stack_end() != STACK_TOP)
		atomic_fetch_add(&board->shifted, 1);
	if (atomic_load(&board->stop))
		return STRESSOR_HELD;
	execv("/proc/self/exe", argv);
	stressor_broken("exec of itself");
	return STRESSOR_BROKEN;
}

static void start_storm(int fd, int arguments)
{
	char *argv[3 + ARGUMENTS_MAX + 1] = { "exec-offline", "storm" };
	char number[16];
	int i;

	snprintf(number, sizeof(number), "%d", fd);
	argv[2] = number;
	for (i = 0; i < arguments; i++) {
		argv[3 + i] = malloc(ARGUMENT);
		if (!argv[3 + i])
			stressor_broken("malloc");
		memset(argv[3 + i], 'a' + i, ARGUMENT - 1);
		argv[3 + i][ARGUMENT - 1] = '\0';
	}
	execv("/proc/self/exe", argv);
	stressor_broken("first exec");
}

static int find_blocks(int *fds)
{
	char path[64];
	int i, found = 0;

	for (i = 0; i < BLOCKS; i++) {
		snprintf(path, sizeof(path), STATE, i);
		fds[found] = open(path, O_RDWR | O_CLOEXEC);
		if (fds[found] >= 0)
			found++;
	}
	return found;
}

/* A block with memory of the kernel's own is refused; one that was not is there again after this. */
static void cycle(struct board *board, int fd)
{
	if (pwrite(fd, "offline", 7, 0) != 7) {
		atomic_fetch_add(&board->refused, 1);
		return;
	}
	atomic_fetch_add(&board->offlined, 1);
	if (pwrite(fd, "online", 6, 0) != 6)
		stressor_broken("taking a block online");
}

static void move(struct board *board, const int *fds, int blocks)
{
	unsigned int round;

	for (round = 0; !atomic_load(&board->stop); round++)
		cycle(board, fds[round % blocks]);
}

static void run_until(struct board *board, double end)
{
	struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	while (stressor_now() < end)
		nanosleep(&pause, NULL);
	atomic_store(&board->stop, true);
}

int main(int argc, char **argv)
{
	const struct rlimit stack = { 8 << 20, RLIM_INFINITY };
	struct board *board;
	int fds[BLOCKS];
	int fd, i, result, blocks;

	if (argc > 2 && !strcmp(argv[1], "storm"))
		return storm(argv);

	srand(stressor_seed());
	blocks = find_blocks(fds);
	if (!blocks) {
		stressor_say("no block of memory here that could be taken offline");
		return STRESSOR_SKIP;
	}
	fd = make_board();
	board = map_board(fd);
	if (setrlimit(RLIMIT_STACK, &stack))
		stressor_broken("setrlimit");

	for (i = 0; i < STORMS; i++) {
		int arguments = ARGUMENTS_MIN + rand() % (ARGUMENTS_MAX - ARGUMENTS_MIN + 1);

		if (!stressor_spawn(1))
			start_storm(fd, arguments);
	}
	if (!stressor_spawn(0)) {
		move(board, fds, blocks);
		_exit(STRESSOR_HELD);
	}
	stressor_race();
	run_until(board, stressor_now() + SECONDS);
	result = stressor_reap();

	stressor_count("execs", atomic_load(&board->execs));
	stressor_count("shifted", atomic_load(&board->shifted));
	stressor_count("offlined", atomic_load(&board->offlined));
	stressor_count("refused", atomic_load(&board->refused));
	return result;
}
