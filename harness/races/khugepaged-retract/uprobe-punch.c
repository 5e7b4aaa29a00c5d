// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: khugepaged-retract, fixed by commit 8d3c106e19e8 (v6.1-rc8), where MADV_COLLAPSE is not.
 *
 * When uprobes takes a breakpoint out of a mapping of a huge page, it gives the mapping its huge
 * entry back: it calls collapse_pte_mapped_thp(), as khugepaged does when it likes to. Punching a
 * hole into the same file zaps entries of the page table that this takes away.
 *
 * CPU 0: sets a breakpoint in many mappings of one huge page and takes it out again.
 * CPU 1: processes that punch holes in the same file.
 */
#include "punch.h"

#include <linux/perf_event.h>

#define MAPPINGS 16

/* The number by which perf_event_open(2) knows uprobes; SKIP where there are none. */
static unsigned int uprobe_type(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	unsigned int type;

	if (!file) {
		stressor_say("this kernel has no uprobes for perf_event_open");
		exit(STRESSOR_SKIP);
	}
	if (fscanf(file, "%u", &type) != 1)
		stressor_broken("type of uprobes");
	fclose(file);
	return type;
}

/* A breakpoint at the start of the file, in every executable private mapping of it. */
static int set_breakpoint(unsigned int type, int fd)
{
	struct perf_event_attr attr = { .type = type, .size = sizeof(attr) };
	char path[32];
	int event;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	attr.uprobe_path = (uintptr_t)path;
	event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		stressor_broken("perf_event_open");
	return event;
}

/*
 * Shared memory is not made of huge pages unless it is told so, and page tables are only retracted
 * where it is: also in the mappings that nobody advised.
 */
static void form_huge_page(int fd)
{
	const char *setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	int enabled = open(setting, O_WRONLY);
	char *start;

	if (enabled < 0 || write(enabled, "always", 6) != 6)
		stressor_broken(setting);
	close(enabled);
	start = map_huge(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	memset(start, 0, HUGE);
	keep_huge_page(start);
	munmap(start, HUGE);
}

/* Small entries appear in the page table that the breakpoint made; they go with it. */
static void collapse(struct board *board, int fd)
{
	unsigned int type = uprobe_type();
	char *start[MAPPINGS];
	int event, i;

	for (i = 0; i < MAPPINGS; i++)
		start[i] = map_huge(fd, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	while (!atomic_load(&board->stop)) {
		event = set_breakpoint(type, fd);
		for (i = 0; i < MAPPINGS; i++)
			touch(start[i]);
		close(event);
		atomic_fetch_add(&board->collapses, MAPPINGS);
	}
}

int main(void)
{
	struct board *board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_memfd_create, "uprobe-punch", 0);

	if (board == MAP_FAILED || fd < 0 || ftruncate(fd, HUGE))
		stressor_broken("set-up");
	uprobe_type();
	form_huge_page(fd);
	return run_beside_punchers(board, fd, PUNCHERS, collapse);
}
