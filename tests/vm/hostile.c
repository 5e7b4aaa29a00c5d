// SPDX-License-Identifier: GPL-2.0-only
/* A reproducer that is hard on PID 1 in the way that argv[1] names; for tests/vm/test_hostile.py. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static void eat(void)
{
	const size_t piece = 16 << 20;

	for (;;) {
		char *at = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

		if (at != MAP_FAILED)
			memset(at, 1, piece);
	}
}

static void spin(void)
{
	const struct sched_param middle = { .sched_priority = 50 };

	for (int i = 0; i < 8; i++) {
		if (fork())
			continue;
		sched_setscheduler(0, SCHED_FIFO, &middle);
		for (;;)
			;
	}
}

static int attack(void)
{
	reboot(RB_AUTOBOOT);
	mount("none", "/proc", "tmpfs", 0, NULL);
	mount("none", "/sys", "tmpfs", 0, NULL);
	mount("none", "/tmp", "tmpfs", 0, NULL);
	umount2("/dev", MNT_DETACH);
	open("/dev/net/tun", O_RDWR);
	puts("last words");
	fflush(stdout);
	kill(1, SIGKILL);
	kill(-1, SIGKILL);
	return 3;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	signal(SIGTERM, SIG_IGN);
	if (!strcmp(how, "forks"))
		for (;;)
			fork();
	if (!strcmp(how, "memory"))
		for (;; sleep(1))
			if (!fork())
				eat();
	if (!strcmp(how, "real-time"))
		spin();
	if (!strcmp(how, "attack"))
		return attack();
	if (!strcmp(how, "shell"))
		return system("mkdir here && cd here && echo words >file && grep -q words file") ? 9 : 0;
	for (;;)
		pause();
}
