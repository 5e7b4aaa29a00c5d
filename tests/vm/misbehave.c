// SPDX-License-Identifier: GPL-2.0-only
/* A workload that makes a guest end in the way that argv[1] names; for tests/vm/test_ends.py. */
#include "stressor.h"

#include <fcntl.h>
#include <sys/mman.h>

static void sysrq(char key)
{
	int file = open("/proc/sysrq-trigger", O_WRONLY);

	if (file < 0 || write(file, &key, 1) != 1)
		stressor_broken("/proc/sysrq-trigger");
}

static void eat_memory(void)
{
	const size_t piece = 16 << 20;

	for (;;) {
		char *at = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

		if (at != MAP_FAILED)
			memset(at, 1, piece);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	stressor_race();
	if (!strcmp(how, "work")) {
		usleep(500 * 1000);
		stressor_count("turns", 1);
		return STRESSOR_HELD;
	}
	stressor_count("turns", 10);
	if (!strcmp(how, "crash"))
		sysrq('c');
	if (!strcmp(how, "reset"))
		sysrq('b');
	if (!strcmp(how, "silence"))
		for (;;)
			pause();
	if (!strcmp(how, "memory"))
		eat_memory();
	if (!strcmp(how, "broken")) {
		errno = ENOSYS;
		stressor_broken("setting up");
	}
	if (!strcmp(how, "fail")) {
		stressor_say("mmrace: fail it was seen");
		return STRESSOR_SEEN;
	}
	return STRESSOR_HELD;
}
