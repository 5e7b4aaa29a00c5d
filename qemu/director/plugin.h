/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few entry points of QEMU's plugin interface that the director calls. QEMU's own header is not
 * packaged. What later versions than 1 (QEMU 7.2) dropped or changed (counts of vCPUs, inline
 * operations, instruction bytes) is not used, but for one change: from version 7 (QEMU 11.1) on each
 * callback gets the data that it was registered with, where some got the plugin's id before. QEMU
 * 11.1 refuses plugins of older versions, so PLUGIN_API says which shape is compiled.
 */
#ifndef DIRECTOR_PLUGIN_H
#define DIRECTOR_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

#ifndef PLUGIN_API
#define PLUGIN_API 1
#endif

typedef uint64_t qemu_plugin_id_t;

/* Parameters of a callback, and what it is registered with. */
#if PLUGIN_API < 7
#define PLUGIN_CALLED(...) (__attribute__((unused)) qemu_plugin_id_t plugin __VA_OPT__(,) __VA_ARGS__)
#define PLUGIN_CALL(fn) (fn)
#define PLUGIN_DATA
#else
#define PLUGIN_CALLED(...) (__VA_ARGS__ __VA_OPT__(,) __attribute__((unused)) void *data)
#define PLUGIN_CALL(fn) (fn), NULL
#define PLUGIN_DATA , void *data
#endif
struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef struct {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	union {
		struct {
			int smp_vcpus;
			int max_vcpus;
		} system;
	};
} qemu_info_t;

/* Which guest registers a callback looks at: none. */
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };

enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W = 2, QEMU_PLUGIN_MEM_RW = 3 };
typedef uint32_t qemu_plugin_meminfo_t;

typedef void(*plugin_translated_fn) PLUGIN_CALLED(struct qemu_plugin_tb *block);
typedef void (*plugin_executed_fn)(unsigned int vcpu, void *data);
typedef void (*plugin_access_fn)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
				 void *data);
typedef void(*plugin_vcpu_fn) PLUGIN_CALLED(unsigned int vcpu);
typedef void(*plugin_reset_fn) PLUGIN_CALLED();

/* What a plugin has to export. */
extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

/* What QEMU exports. */
void qemu_plugin_register_vcpu_resume_cb(qemu_plugin_id_t id, plugin_vcpu_fn fn PLUGIN_DATA);
void qemu_plugin_register_vcpu_idle_cb(qemu_plugin_id_t id, plugin_vcpu_fn fn PLUGIN_DATA);
void qemu_plugin_reset(qemu_plugin_id_t id, plugin_reset_fn fn PLUGIN_DATA);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, plugin_translated_fn fn PLUGIN_DATA);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, plugin_executed_fn fn,
					  enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, plugin_executed_fn fn,
					    enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, plugin_access_fn fn,
				      enum qemu_plugin_cb_flags flags, enum qemu_plugin_mem_rw rw,
				      void *data);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

/* Exists from interface version 2 on (QEMU 9), which refuses plugins that declare version 1. */
extern void *qemu_plugin_scoreboard_new(size_t size) __attribute__((weak));

#endif
