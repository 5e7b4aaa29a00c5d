// SPDX-License-Identifier: GPL-2.0-only
/*
 * What userfaults cost, for hugetlb-uffd (fixed by 2ea7ff1e39cb, v6.1): a thread touches huge pages
 * that are served and dropped again. Counted outside.
 *
 * argv: program, "missing" (private memory, UFFDIO_COPY) or "minor" (shared, UFFDIO_CONTINUE).
 */
#include "uffd.h"

static void *touch(void *argument)
{
	struct uffd *uffd = argument;

	stressor_pin(UFFD_VICTIM_CPU);
	while (!atomic_load(&uffd->stop)) {
		for (int page = 0; page < uffd->pages; page++)
			*(volatile char *)(uffd->area + page * HUGE_SIZE) = 1;
		if (madvise(uffd->area, uffd->pages * HUGE_SIZE, MADV_DONTNEED))
			stressor_broken("MADV_DONTNEED");
	}
	atomic_store(&uffd->stopped, true);
	return NULL;
}

static void map_missing(struct uffd *uffd)
{
	uffd->area = uffd_map(uffd->pages, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uffd->source = uffd_map(1, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(uffd->source, 'm', HUGE_SIZE);
	uffd_register(uffd, 0, UFFDIO_REGISTER_MODE_MISSING);
}

static void map_minor(struct uffd *uffd)
{
	int file = syscall(SYS_memfd_create, "mmrace", MFD_HUGETLB);
	char *alias;

	if (file < 0 || ftruncate(file, uffd->pages * HUGE_SIZE))
		stressor_broken("memfd_create");
	alias = uffd_map(uffd->pages, MAP_SHARED, file);
	for (int page = 0; page < uffd->pages; page++)
		alias[page * HUGE_SIZE] = 'm';
	munmap(alias, uffd->pages * HUGE_SIZE);
	uffd->area = uffd_map(uffd->pages, MAP_SHARED, file);
	uffd_register(uffd, UFFD_FEATURE_MINOR_HUGETLBFS, UFFDIO_REGISTER_MODE_MINOR);
}

int main(int argc, char **argv)
{
	static struct uffd uffd = { .pages = 8 };
	bool minor = argc > 1 && !strcmp(argv[1], "minor");
	int page;

	if (minor)
		map_minor(&uffd);
	else
		map_missing(&uffd);
	stressor_pin(UFFD_CPU);
	stressor_race();
	uffd.end = stressor_now() + UFFD_SECONDS;
	if (pthread_create(&uffd.victim, NULL, touch, &uffd))
		stressor_broken("pthread_create");
	while (!atomic_load(&uffd.stopped)) {
		if (stressor_now() >= uffd.end)
			atomic_store(&uffd.stop, true);
		if (uffd_event(&uffd, &page) < 0)
			sched_yield();
		else if (minor)
			uffd_continue(&uffd, page);
		else
			uffd_copy(&uffd, page);
	}
	pthread_join(uffd.victim, NULL);
	uffd_counts(&uffd);
	return STRESSOR_HELD;
}
