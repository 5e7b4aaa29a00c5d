// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "delay.h"
#include "limits.h"
#include "probe.h"
#include "setup.h"
#include "swap.h"

#define NODE_PAGES "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages"

struct mount_point {
	const char *type, *path, *options;
	bool needed, scratch;
};

static const struct mount_point mounts[] = {
	{ "devtmpfs", "/dev", NULL, true, false },
	{ "proc", "/proc", NULL, true, false },
	{ "sysfs", "/sys", NULL, true, false },
	{ "tmpfs", "/tmp", "mode=1777", true, true },
	{ "tmpfs", "/root", "mode=0700", true, true },
	{ "tmpfs", "/dev/shm", "mode=1777", true, true },
	{ "hugetlbfs", "/dev/hugepages", "pagesize=2M", false, true },
	{ "tracefs", "/sys/kernel/tracing", NULL, false, false },
	{ "debugfs", "/sys/kernel/debug", NULL, false, false },
	{ "devpts", "/dev/pts", NULL, false, false },
	{ "mqueue", "/dev/mqueue", NULL, false, false },
	{ "cgroup2", "/sys/fs/cgroup", NULL, false, false },
	{ "bpf", "/sys/fs/bpf", NULL, false, false },
	{ "fusectl", "/sys/fs/fuse/connections", NULL, false, false },
	{ "securityfs", "/sys/kernel/security", NULL, false, false },
	{ "configfs", "/sys/kernel/config", NULL, false, false },
};

#define MOUNTS (sizeof(mounts) / sizeof(*mounts))

void setup_power_off(void)
{
	channel_drain();
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void setup_bail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	channel_quote("Bail out! ", text, strlen(text));
	setup_power_off();
}

static int mount_one(const struct mount_point *point)
{
	mkdir(point->path, 0755);
	return mount(point->type, point->path, point->type, MS_NOSUID, point->options);
}

void setup_mounts(void)
{
	for (const struct mount_point *point = mounts; point < mounts + MOUNTS; point++)
		if (mount_one(point) && point->needed)
			setup_bail("cannot mount %s on %s: %s", point->type, point->path,
				   strerror(errno));
}

/* How many the node has after it was asked for so many; -1: it has no such pool. */
static long set_pool(int node, long pages)
{
	char path[128], text[24];

	snprintf(path, sizeof(path), NODE_PAGES, node);
	if (file_number(path) != pages) {
		snprintf(text, sizeof(text), "%ld", pages);
		file_write(path, text);
	}
	return file_number(path);
}

static void find_program(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), WORKLOAD_DIR "/%s", name);
	if (access(path, X_OK))
		setup_bail("the image has no program %s", name);
}

/* What programs take for granted on a machine that has been set up. */
static void set_up_reproducer(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &loopback);
		close(fd);
	}
	limits_set();
}

void setup_job(const struct job *job)
{
	if (!job->shell)
		find_program(job->argv[0]);
	for (int node = 0; node < JOB_LIST; node++) {
		long pages = job->hugepages[node];
		long got = pages > 0 ? set_pool(node, pages) : pages;

		if (got != pages)
			setup_bail("node %d has %ld huge pages, not %ld", node, got, pages);
	}
	for (unsigned int i = 0; i < job->write_count; i++) {
		char *value = job->writes[i];
		const char *path = strsep(&value, " ");

		if (!value || file_write(path, value))
			setup_bail("cannot write %s to %s: %s", value ? value : "nothing", path,
				   strerror(errno));
	}
	for (unsigned int i = 0; i < job->probe_count; i++)
		probe_add(job->probes[i]);
	delay_set(job);
	if (job->zram && swap_on_zram())
		setup_bail("no swap on zram: %s", strerror(errno));
	if (job->procs)
		set_up_reproducer();
}

/* Segments of System V shared memory outlive their users, and may hold huge pages. */
static void remove_segments(void)
{
	struct shmid_ds segment;
	struct shm_info info;
	int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);

	for (int i = 0; i <= last; i++) {
		int id = shmctl(i, SHM_STAT, &segment);

		if (id >= 0)
			shmctl(id, IPC_RMID, NULL);
	}
}

void setup_clean(const struct job *job)
{
	for (const struct mount_point *point = mounts; point < mounts + MOUNTS; point++)
		if (point->scratch && !umount2(point->path, MNT_DETACH))
			mount_one(point);
	remove_segments();
	for (int node = 0; node < JOB_LIST; node++) {
		char path[128];
		long pages = job->hugepages[node];
		long found;

		if (pages < 0)
			continue;
		snprintf(path, sizeof(path), NODE_PAGES, node);
		found = file_number(path);
		if (found < 0 || found == pages)
			continue;
		channel_say("# note node %d was left with %ld huge pages, not %ld; now %ld", node,
			    found, pages, set_pool(node, pages));
	}
}

static void name_process(const char *pid)
{
	static const char *const files[] = { "stat", "wchan", "stack" };
	char path[64], text[1024];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		long length;

		snprintf(path, sizeof(path), "/proc/%.16s/%s", pid, files[i]);
		length = file_read(path, text, sizeof(text));
		for (char *rest = text, *line; length > 0 && (line = strsep(&rest, "\n"));) {
			char prefix[48];

			snprintf(prefix, sizeof(prefix), "# note stays %.16s %s: ", pid, files[i]);
			if (*line)
				channel_quote(prefix, line, strlen(line));
		}
	}
}

static bool has_memory(const char *pid)
{
	char path[64], text[64];

	/* Kernel threads have no command line. */
	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	if (file_read(path, text, sizeof(text)) <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	return readlink(path, text, sizeof(text)) >= 0;
}

void setup_name_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return;
	while ((entry = readdir(proc)))
		if (isdigit(*entry->d_name) && strcmp(entry->d_name, "1") &&
		    has_memory(entry->d_name))
			name_process(entry->d_name);
	closedir(proc);
}
