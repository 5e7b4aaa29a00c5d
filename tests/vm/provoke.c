// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pull LKDTM's triggers one after the other: `provoke walk [NAME]`, from the one after NAME on;
 * `provoke pull NAME...`, these only. `provoke fail`: have allocations of this process fail;
 * `provoke race SECONDS`: race for a word, and have KCSAN watch. For tests/vm/test_lkdtm.py,
 * which reads on the console where each begins and ends.
 */
#include "stressor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define FOLDER "/sys/kernel/debug/"
#define DIRECT FOLDER "provoke-crash/DIRECT"
#define PATIENCE 14 /* seconds, more than any detector takes as the test sets them */
#define SETTLE 300 /* milliseconds for what is reported behind the trigger's back */

static void put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		stressor_say("%s: %s", path, strerror(errno));
	if (file >= 0)
		close(file);
}

static void mark(const char *what, const char *name, const char *how)
{
	char line[256];

	snprintf(line, sizeof(line), "<5>provoke: %s %s%s%s\n", what, name, *how ? " " : "", how);
	put("/dev/kmsg", line);
	stressor_say("%s %s %s", what, name, how);
}

/* What became of the child that pulled the trigger; 0: it is still there. */
static int outcome(pid_t child, char *how, size_t size)
{
	double end = stressor_now() + PATIENCE;
	int status;

	while (stressor_now() < end) {
		if (waitpid(child, &status, WNOHANG) == child) {
			if (WIFSIGNALED(status))
				snprintf(how, size, "killed by signal %d", WTERMSIG(status));
			else
				snprintf(how, size, "returned %d", WEXITSTATUS(status));
			return 1;
		}
		usleep(20000);
	}
	snprintf(how, size, "still there");
	return 0;
}

static void pull(const char *name)
{
	char how[64];
	pid_t child;
	int gone;

	put(FOLDER "clear_warn_once", "1");
	mark("begin", name, "");
	child = fork();
	if (!child) {
		put(DIRECT, name);
		_exit(0);
	}
	gone = outcome(child, how, sizeof(how));
	usleep(SETTLE * 1000);
	mark("end", name, how);
	if (!gone)
		put("/proc/sysrq-trigger", "b"); /* a CPU is lost: the rest wants another boot */
}

/* Documentation/fault-injection/fault-injection.rst: only tasks with make-it-fail set are hit. */
static void fail(void)
{
	static const char *const settings[][2] = {
		{ "task-filter", "Y" }, { "ignore-gfp-wait", "N" }, { "probability", "100" },
		{ "interval", "1" }, { "verbose", "2" }, { "times", "3" },
	};
	static const char *const folders[] = { "failslab", "fail_page_alloc" };
	char path[128];

	for (unsigned int i = 0; i < 2; i++) {
		mark("begin", folders[i], "");
		for (unsigned int j = 0; j < sizeof(settings) / sizeof(*settings); j++) {
			snprintf(path, sizeof(path), FOLDER "%s/%s", folders[i], settings[j][0]);
			put(path, settings[j][1]);
		}
		if (!fork()) {
			put("/proc/self/make-it-fail", "1");
			for (int n = 0; n < 20; n++) {
				int file = open("/proc/self/status", O_RDONLY);
				char *area = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

				if (file >= 0)
					close(file);
				if (area != MAP_FAILED)
					munmap(area, 1 << 20);
			}
			_exit(0);
		}
		wait(NULL);
		mark("end", folders[i], "");
	}
}

/* A task's oom_score_adj is written under a mutex that its readers do not take. */
static void race(int seconds)
{
	double end = stressor_now() + seconds;
	char path[64];

	mark("begin", "kcsan", "");
	put(FOLDER "kcsan", "on");
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", getpid());
	for (int i = 0; i < 2; i++)
		if (!fork()) {
			int file = open(path, O_RDWR);
			char text[16];

			for (int n = 0; file >= 0 && stressor_now() < end; n ^= 1)
				if (i ? pread(file, text, sizeof(text), 0) < 0 :
					pwrite(file, n ? "1" : "2", 1, 0) < 0)
					break;
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	put(FOLDER "kcsan", "off");
	mark("end", "kcsan", "");
}

int main(int argc, char **argv)
{
	static char list[16384];
	char *rest = list, *name;
	int file = open(DIRECT, O_RDONLY), started = argc < 3;
	ssize_t length = file < 0 ? -1 : read(file, list, sizeof(list) - 1);

	if (argc == 2 && !strcmp(argv[1], "fail")) {
		fail();
		return STRESSOR_HELD;
	}
	if (argc == 3 && !strcmp(argv[1], "race")) {
		race(atoi(argv[2]));
		return STRESSOR_HELD;
	}
	if (length <= 0 || argc < 2)
		stressor_broken(DIRECT);
	if (!strcmp(argv[1], "pull")) {
		for (int i = 2; i < argc; i++)
			pull(argv[i]);
		return STRESSOR_HELD;
	}
	strsep(&rest, "\n"); /* a headline */
	while ((name = strsep(&rest, "\n"))) {
		if (!*name)
			continue;
		if (started && strstr(name, "_TIMING"))
			mark("leave", name, ""); /* billions of operations for perf to time */
		else if (started)
			pull(name);
		else
			started = !strcmp(name, argv[2]);
	}
	mark("end", "of all", "");
	return STRESSOR_HELD;
}
