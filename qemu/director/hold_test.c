// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays vCPUs without QEMU, for tests: `hold_test STATE` maps a state file that the harness wrote
 * and obeys one command a line on standard input, each answered by a line when it is done:
 *
 *   reach VCPU ADDRESS     in the vCPU's own thread; the answer comes when it may go on
 *   access VCPU SITE ADDRESS STORE   likewise: the instruction at SITE has accessed ADDRESS
 *   rest VCPU RESTS        the vCPU is idle (1), or goes on
 *   watch                  as if QEMU had dropped all translated code
 *   block VCPU LENGTH      as QEMU announces a block; later visits are at its end
 *   end
 *
 * Answers to `reach` may overtake those of vCPUs that are held: "VCPU ADDRESS-IN-HEX".
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hold.h"
#include "search.h"

#define VCPUS 3

struct visit {
	unsigned int vcpu;
	struct place *place;
};

static struct director *director;

static void *go(void *data)
{
	struct visit *visit = data;

	director_reach(director, visit->vcpu, visit->place, 0);
	printf("%u %llx\n", visit->vcpu, (unsigned long long)visit->place->address);
	fflush(stdout);
	free(visit);
	return NULL;
}

static void reach(unsigned int vcpu, unsigned long long address)
{
	struct visit *visit = malloc(sizeof(*visit));
	pthread_t thread;

	visit->vcpu = vcpu;
	visit->place = director_find(director, address);
	if (!visit->place) {
		printf("nothing\n");
		fflush(stdout);
		free(visit);
		return;
	}
	director_translated(director, visit->place);
	if (pthread_create(&thread, NULL, go, visit))
		exit(2);
	pthread_detach(thread);
}

struct test_access {
	unsigned int vcpu;
	unsigned int site;
	unsigned int store;
	unsigned long long instruction;
	unsigned long long address;
};

static void *make_access(void *data)
{
	struct test_access *access = data;

	search_access(director_search(director), access->vcpu, access->site, access->address,
		      access->store);
	printf("%u %llx\n", access->vcpu, access->instruction);
	fflush(stdout);
	free(access);
	return NULL;
}

static void start_access(const struct test_access *asked)
{
	struct test_access *access = malloc(sizeof(*access));
	long site = search_find(director_search(director), asked->instruction);
	pthread_t thread;

	if (!access || site < 0)
		exit(2);
	*access = *asked;
	access->site = site;
	if (pthread_create(&thread, NULL, make_access, access))
		exit(2);
	pthread_detach(thread);
}

static void *map(const char *path, size_t *size)
{
	struct stat status;
	int fd = open(path, O_RDWR);

	if (fd < 0 || fstat(fd, &status))
		exit(2);
	*size = status.st_size;
	return mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int main(int argc, char **argv)
{
	char line[128];
	const char *why;
	size_t size;
	void *state;

	if (argc != 2)
		return 2;
	state = map(argv[1], &size);
	director = director_open(state, size, VCPUS, &why);
	if (!director) {
		printf("refused: %s\n", why);
		return 1;
	}
	((struct shared_header *)state)->attached = 1;
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		struct test_access access;
		unsigned long long number;
		unsigned int vcpu;

		if (sscanf(line, "reach %u %llx", &vcpu, &number) == 2 && vcpu < VCPUS) {
			reach(vcpu, number);
		} else if (sscanf(line, "access %u %llx %llx %u", &access.vcpu, &access.instruction,
				  &access.address, &access.store) == 4 && access.vcpu < VCPUS) {
			start_access(&access);
		} else if (sscanf(line, "rest %u %llu", &vcpu, &number) == 2 && vcpu < VCPUS) {
			search_rests(director_search(director), vcpu, number);
			printf("rest\n");
			fflush(stdout);
		} else if (sscanf(line, "block %u %llu", &vcpu, &number) == 2 && vcpu < VCPUS) {
			director_block(director, vcpu, number);
			printf("block\n");
			fflush(stdout);
		} else if (!strcmp(line, "watch\n")) {
			director_watches(director);
			printf("watch\n");
			fflush(stdout);
		} else {
			break;
		}
	}
	return 0;
}
