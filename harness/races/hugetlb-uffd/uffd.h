/* SPDX-License-Identifier: GPL-2.0-only */
/* A range of huge pages under userfaultfd, a thread that uses it, and what else they all need. */
#ifndef MMRACE_UFFD_H
#define MMRACE_UFFD_H

#include "stressor.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define HUGE_SIZE (2UL << 20)
#define SMALL_SIZE 4096UL
#define UFFD_SECONDS 2.5

enum { UFFD_MAX = 16, UFFD_CPU = 0, UFFD_VICTIM_CPU = 1, UFFD_MOVE = 1 << 1 };

struct uffd {
	int fd;
	int pages;
	char *area;		/* under userfaultfd */
	char *source;		/* a huge page to copy from */
	double end;
	atomic_bool ready;	/* no event is right any more */
	atomic_bool stop;
	atomic_bool stopped;
	atomic_ulong faults;	/* of the victim, since ready */
	int writes;		/* of this many accesses of the victim, one writes; 0: none */
	pthread_t victim;
	unsigned long missing, minor, wp;
	unsigned long moved, protected;
};

static inline char *uffd_map(int pages, int flags, int fd)
{
	char *area = mmap(NULL, pages * HUGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_HUGETLB | flags, fd, 0);

	if (area == MAP_FAILED)
		stressor_broken("mmap of huge pages");
	return area;
}

/* Put uffd->area under userfaultfd; SKIP where the kernel has no such mode for huge pages. */
static inline void uffd_register(struct uffd *uffd, unsigned long features, unsigned long mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register range = {
		.range = { .start = (unsigned long)uffd->area, .len = uffd->pages * HUGE_SIZE },
		.mode = mode,
	};

	uffd->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd->fd < 0)
		stressor_broken("userfaultfd");
	if (ioctl(uffd->fd, UFFDIO_API, &api) || ioctl(uffd->fd, UFFDIO_REGISTER, &range)) {
		stressor_say("no such userfaultfd mode for huge pages: %s", strerror(errno));
		exit(STRESSOR_SKIP);
	}
}

/* One event that waits, as UFFD_PAGEFAULT_FLAG_*, with the page; -1 when none does. */
static inline int uffd_event(struct uffd *uffd, int *page)
{
	struct uffd_msg message;
	ssize_t length = read(uffd->fd, &message, sizeof(message));

	if (length < 0 && errno == EAGAIN)
		return -1;
	if (length != sizeof(message) || message.event != UFFD_EVENT_PAGEFAULT)
		stressor_broken("read of an event");
	*page = (message.arg.pagefault.address - (unsigned long)uffd->area) / HUGE_SIZE;
	return message.arg.pagefault.flags &
	       (UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_MINOR);
}

static inline void uffd_copy(struct uffd *uffd, int page)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)uffd->area + page * HUGE_SIZE,
		.src = (unsigned long)uffd->source,
		.len = HUGE_SIZE,
	};

	if (ioctl(uffd->fd, UFFDIO_COPY, &copy))
		stressor_broken("UFFDIO_COPY");
	uffd->missing++;
}

static inline void uffd_continue(struct uffd *uffd, int page)
{
	struct uffdio_continue done = {
		.range = { .start = (unsigned long)uffd->area + page * HUGE_SIZE,
			   .len = HUGE_SIZE },
	};

	if (ioctl(uffd->fd, UFFDIO_CONTINUE, &done))
		stressor_broken("UFFDIO_CONTINUE");
	uffd->minor++;
}

static inline void uffd_protect(struct uffd *uffd, int page, int pages, bool on)
{
	struct uffdio_writeprotect change = {
		.range = { .start = (unsigned long)uffd->area + page * HUGE_SIZE,
			   .len = pages * HUGE_SIZE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(uffd->fd, UFFDIO_WRITEPROTECT, &change))
		stressor_broken("UFFDIO_WRITEPROTECT");
}

/* Faults of the calling thread. */
static inline unsigned long uffd_faults(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_THREAD, &usage))
		stressor_broken("getrusage");
	return usage.ru_minflt + usage.ru_majflt;
}

/*
 * Touch each page, then random ones: at an offset of its own each time, so that the translation is
 * seldom cached, above all where a huge page is cached in small pieces.
 */
static inline void *uffd_victim(void *argument)
{
	struct uffd *uffd = argument;
	unsigned int seed = stressor_seed();
	unsigned long before;

	stressor_pin(UFFD_VICTIM_CPU);
	for (int page = 0; page < uffd->pages; page++)
		*(volatile char *)(uffd->area + page * HUGE_SIZE) = 1;
	before = uffd_faults();
	atomic_store(&uffd->ready, true);
	while (!atomic_load(&uffd->stop)) {
		for (int access = 1; access < 1024 && !atomic_load(&uffd->stop); access++) {
			unsigned long small = rand_r(&seed) %
					      (uffd->pages * (HUGE_SIZE / SMALL_SIZE));
			volatile char *at = uffd->area + small * SMALL_SIZE;

			if (uffd->writes && access % uffd->writes == 0)
				*at = 1;
			else
				(void)*at;
			stressor_rest();
		}
		atomic_store(&uffd->faults, uffd_faults() - before);
	}
	atomic_store(&uffd->stopped, true);
	return NULL;
}

/* Start the victim and serve its first faults by fill, until it has touched each page. */
static inline void uffd_start(struct uffd *uffd, void (*fill)(struct uffd *uffd, int page))
{
	int page;

	stressor_pin(UFFD_CPU);
	if (pthread_create(&uffd->victim, NULL, uffd_victim, uffd))
		stressor_broken("pthread_create");
	while (!atomic_load(&uffd->ready))
		if (uffd_event(uffd, &page) >= 0)
			fill(uffd, page);
	stressor_race();
	uffd->end = stressor_now() + UFFD_SECONDS;
}

static inline void uffd_counts(struct uffd *uffd)
{
	stressor_count("missing", uffd->missing);
	stressor_count("minor", uffd->minor);
	stressor_count("wp", uffd->wp);
	stressor_count("moved", uffd->moved);
	stressor_count("protected", uffd->protected);
	stressor_count("faults", atomic_load(&uffd->faults));
}

/* Look at what has come in. Each page is there, so that only WP can be right. */
static inline void uffd_check(struct uffd *uffd)
{
	int page, event = uffd_event(uffd, &page);

	if (event < 0)
		return;
	if (event & UFFD_PAGEFAULT_FLAG_WP) {
		uffd->wp++;
		uffd_protect(uffd, page, 1, false);
		return;
	}
	uffd_counts(uffd);
	if (event & UFFD_PAGEFAULT_FLAG_MINOR)
		stressor_say("mmrace: fail MINOR at page %d after UFFDIO_CONTINUE", page);
	else
		stressor_say("mmrace: fail MISSING at page %d after UFFDIO_COPY", page);
	_exit(STRESSOR_SEEN);
}

static inline bool uffd_running(struct uffd *uffd)
{
	uffd_check(uffd);
	if (stressor_due())
		uffd_counts(uffd);
	return stressor_now() < uffd->end;
}

/* Have the victim end: an event that it waits for shows up in uffd_check. */
static inline void uffd_finish(struct uffd *uffd)
{
	atomic_store(&uffd->stop, true);
	while (!atomic_load(&uffd->stopped))
		uffd_check(uffd);
	pthread_join(uffd->victim, NULL);
	uffd_counts(uffd);
}

/* Move all pages to the other node, and count those that went there. */
static inline void uffd_move(struct uffd *uffd)
{
	void *address[UFFD_MAX];
	int was[UFFD_MAX], nodes[UFFD_MAX], now[UFFD_MAX];

	for (int page = 0; page < uffd->pages; page++)
		address[page] = uffd->area + page * HUGE_SIZE;
	if (syscall(SYS_move_pages, 0, (long)uffd->pages, address, NULL, was, 0))
		stressor_broken("move_pages, asking");
	for (int page = 0; page < uffd->pages; page++)
		nodes[page] = !was[page];
	/* Some may stay, as somebody waits for them: ask again rather than trust the status. */
	if (syscall(SYS_move_pages, 0, (long)uffd->pages, address, nodes, now, UFFD_MOVE) < 0)
		stressor_broken("move_pages");
	if (syscall(SYS_move_pages, 0, (long)uffd->pages, address, NULL, now, 0))
		stressor_broken("move_pages, asking");
	for (int page = 0; page < uffd->pages; page++)
		uffd->moved += was[page] >= 0 && now[page] == nodes[page];
}

#endif
