// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU TCG plugin that steers vCPUs: `-plugin director.so,state=FILE`.
 *
 * FILE (shared.h) lists guest addresses. Only their instructions get a callback, when QEMU
 * translates them. Under `thread=multi` a callback that sleeps stalls its own vCPU only.
 *
 * Whoever looks at what is translated makes QEMU bring in instrumentation for each instruction and
 * take it out again, a fifth of a boot's time. So nothing is looked at before the race phase: the
 * first vCPU that goes on in it has QEMU drop all translated code, and then it is looked at.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hold.h"
#include "plugin.h"
#include "search.h"

/* An instruction of interest in one shape of block: its index and the block's length differ. */
struct visit {
	struct visit *next;
	struct place *place;
	unsigned int ahead;
};

static qemu_plugin_id_t id;
static struct director *director;
static struct search *search; /* NULL when there is none */
static struct shared_header *header;
static atomic_bool watched;
static struct visit *visits;
static pthread_mutex_t visits_lock = PTHREAD_MUTEX_INITIALIZER;

EXPORTED int qemu_plugin_version = PLUGIN_API;

/* QEMU reads qemu_plugin_version after this has run. */
__attribute__((constructor)) static void choose_version(void)
{
	if (PLUGIN_API < 2 && qemu_plugin_scoreboard_new)
		qemu_plugin_version = 2;
}

static void on_visit(unsigned int vcpu, void *data)
{
	const struct visit *visit = data;

	director_reach(director, vcpu, visit->place, visit->ahead);
}

static void on_block(unsigned int vcpu, void *data)
{
	director_block(director, vcpu, (unsigned int)(uintptr_t)data);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	search_access(search, vcpu, (unsigned int)(uintptr_t)data, address,
		      qemu_plugin_mem_is_store(info));
}

static void watch_accesses(struct qemu_plugin_insn *insn)
{
	long site = search ? search_find(search, qemu_plugin_insn_vaddr(insn)) : -1;

	if (site >= 0)
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)site);
}

/* Blocks are translated again and again: the same visit serves each time. */
static struct visit *find_visit(struct place *place, unsigned int ahead)
{
	struct visit *visit;

	pthread_mutex_lock(&visits_lock);
	for (visit = visits; visit; visit = visit->next)
		if (visit->place == place && visit->ahead == ahead)
			break;
	if (!visit) {
		visit = malloc(sizeof(*visit));
		if (!visit)
			abort();
		*visit = (struct visit){ .next = visits, .place = place, .ahead = ahead };
		visits = visit;
	}
	pthread_mutex_unlock(&visits_lock);
	return visit;
}

static void on_translation PLUGIN_CALLED(struct qemu_plugin_tb *block)
{
	bool counts = director_counts(director);
	size_t length = qemu_plugin_tb_n_insns(block);

	if (counts)
		qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)(uintptr_t)length);
	for (size_t i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		struct place *place = director_find(director, qemu_plugin_insn_vaddr(insn));

		watch_accesses(insn);
		if (!place)
			continue;
		director_translated(director, place);
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, on_visit, QEMU_PLUGIN_CB_NO_REGS,
			find_visit(place, counts ? length - i : 0));
	}
}

static void on_resume PLUGIN_CALLED(unsigned int vcpu);

static void on_idle PLUGIN_CALLED(unsigned int vcpu)
{
	search_rests(search, vcpu, true);
}

static void register_rests(void)
{
	qemu_plugin_register_vcpu_resume_cb(id, PLUGIN_CALL(on_resume));
	if (search)
		qemu_plugin_register_vcpu_idle_cb(id, PLUGIN_CALL(on_idle));
}

/* QEMU has dropped all translated code, and the callbacks of before. */
static void watch PLUGIN_CALLED()
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, PLUGIN_CALL(on_translation));
	if (search)
		register_rests();
	director_watches(director);
}

/* Out of translated code, where QEMU can drop it. The harness stops the machine to get us here. */
static void on_resume PLUGIN_CALLED(unsigned int vcpu)
{
	if (search)
		search_rests(search, vcpu, false);
	if (director_armed(director) && !atomic_exchange(&watched, true))
		qemu_plugin_reset(id, PLUGIN_CALL(watch));
}

static int refuse(const char *what, const char *why)
{
	fprintf(stderr, "director: %s: %s\n", what, why);
	return -1;
}

static int open_state(const char *path, unsigned int vcpus)
{
	const char *why;
	struct stat status;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status))
		return refuse(path, "cannot be opened");
	header = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (header == MAP_FAILED)
		return refuse(path, "cannot be mapped");
	director = director_open(header, status.st_size, vcpus, &why);
	return director ? 0 : refuse(path, why);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t given, const qemu_info_t *info, int argc,
				 char **argv)
{
	const char *path = NULL;

	if (info->version.min > qemu_plugin_version || info->version.cur < qemu_plugin_version)
		return refuse("QEMU", "this version of its plugin interface is not known");
	if (!info->system_emulation || strcmp(info->target_name, "x86_64"))
		return refuse(info->target_name, "the director steers x86_64 system emulation only");
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "state=", 6))
			path = argv[i] + 6;
	if (!path)
		return refuse("arguments", "state=FILE is missing");
	if (open_state(path, info->system.max_vcpus))
		return -1;
	search = director_search(director);
	id = given;
	register_rests();
	__atomic_store_n(&header->attached, qemu_plugin_version, __ATOMIC_RELEASE);
	return 0;
}
