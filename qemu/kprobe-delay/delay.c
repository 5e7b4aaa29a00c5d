// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows by kprobes: a task that comes to `hold` waits there, busy, until another one comes to
 * `until`, or for the window's time.
 *
 * It does not wait in the probe's handler, where interrupts and preemption are off: the handler sends
 * it to delay_enter instead, in the context that it was in, and from there back to the probe. The
 * second time the handler lets it pass.
 *
 * /sys/kernel/debug/mmrace-delay/windows: a write adds a window, "NAME MICROSECONDS PPM HOLDS UNTILS";
 * the latter two are lists of hexadecimal addresses, with commas. A read gives a line for each window,
 * "NAME HITS MET TIMEOUTS". `armed` holds 0 until something is to be held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#include <linux/panic_notifier.h>
#endif
#include <asm/text-patching.h>

#define WINDOWS 16
#define PLACES 64
#define VISITS 16
#define LONGEST_US 10000
#define CERTAIN 1000000		/* parts in a million */
#define STEPS 16		/* of a microsecond, between two looks at the clock */

struct window {
	char name[64];
	u64 timeout_ns;
	u32 ppm;
	atomic_t waiting;
	atomic_t generation;
	atomic64_t hits, met, timeouts;
};

/* An address that is probed, and the windows that it is a point of. */
struct place {
	struct kprobe probe;
	unsigned long holds, untils;
};

/* A task on its way through delay_enter and back to the probe. */
struct visit {
	struct task_struct *task;
	unsigned long address;
	unsigned long holds;
	bool done;	/* with waiting */
};

static struct window windows[WINDOWS];
static unsigned int window_count;
static struct place places[PLACES];
static unsigned int place_count;
static struct visit visits[VISITS];
static atomic_t held = ATOMIC_INIT(0);
static atomic64_t draws = ATOMIC64_INIT(0);
static DEFINE_MUTEX(adding);
static bool armed;

static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the chances of windows that do not always hold");

void delay_enter(void);
asmlinkage void delay_hold(void);

/* splitmix64 over a counter. */
static bool chance(u32 ppm)
{
	u64 z = seed + (u64)atomic64_inc_return(&draws) * 0x9e3779b97f4a7c15ull;

	if (ppm >= CERTAIN)
		return true;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return (u32)(z >> 32) % CERTAIN < ppm;
}

static struct visit *find_visit(void)
{
	unsigned int i;

	for (i = 0; i < VISITS; i++)
		if (READ_ONCE(visits[i].task) == current)
			return &visits[i];
	return NULL;
}
NOKPROBE_SYMBOL(find_visit);

static struct visit *begin_visit(unsigned long address, unsigned long holds)
{
	unsigned int i;

	for (i = 0; i < VISITS; i++) {
		struct visit *visit = &visits[i];

		if (READ_ONCE(visit->task) || cmpxchg(&visit->task, NULL, current))
			continue;
		visit->address = address;
		visit->holds = holds;
		visit->done = false;
		return visit;
	}
	return NULL;
}
NOKPROBE_SYMBOL(begin_visit);

/* Which of the windows with this hold point are to hold now. */
static unsigned long wanted(const struct place *place)
{
	unsigned long holds = 0;
	unsigned int i;

	for (i = 0; i < window_count; i++) {
		if (!(place->holds & BIT(i)))
			continue;
		atomic64_inc(&windows[i].hits);
		if (chance(windows[i].ppm))
			holds |= BIT(i);
	}
	return holds;
}

/* One that all other CPUs are held for would only wait for its time. */
static bool claim(unsigned long address, unsigned long holds)
{
	if (atomic_inc_return(&held) < num_online_cpus() && begin_visit(address, holds))
		return true;
	atomic_dec(&held);
	return false;
}

static int reached(struct kprobe *probe, struct pt_regs *regs)
{
	struct place *place = container_of(probe, struct place, probe);
	unsigned long address = (unsigned long)probe->addr;
	struct visit *visit = find_visit();
	unsigned long holds;
	unsigned int i;

	if (visit) {
		/* Interrupts of one that is held come by as well: nobody has come for it. */
		if (visit->done && visit->address == address)
			smp_store_release(&visit->task, NULL);
		return 0;
	}
	if (!READ_ONCE(armed))
		return 0;
	for (i = 0; i < window_count; i++)
		if (place->untils & BIT(i) && atomic_read(&windows[i].waiting))
			atomic_inc(&windows[i].generation);
	holds = wanted(place);
	if (!holds || !claim(address, holds))
		return 0;
	int3_emulate_push(regs, address);
	regs->ip = (unsigned long)delay_enter;
	return 1;
}
NOKPROBE_SYMBOL(reached);

/* A probe with such a handler stays a trap: a jump would not let the first one change where to go. */
static void passed(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* The clock may be a port of the chipset, whose readers keep each other waiting under QEMU. */
static bool met(const struct window *window, int before)
{
	u64 end = ktime_get_mono_fast_ns() + window->timeout_ns;
	unsigned int i;

	do {
		for (i = 0; i < STEPS; i++) {
			if (atomic_read(&window->generation) != before)
				return true;
			if (!READ_ONCE(armed))
				return false;
			udelay(1);
		}
	} while (ktime_get_mono_fast_ns() < end);
	return false;
}

static void hold(struct window *window)
{
	int before = atomic_read(&window->generation);

	atomic_inc(&window->waiting);
	if (met(window, before))
		atomic64_inc(&window->met);
	else
		atomic64_inc(&window->timeouts);
	atomic_dec(&window->waiting);
}

asmlinkage void delay_hold(void)
{
	struct visit *visit = find_visit();
	unsigned int i;

	for (i = 0; i < window_count; i++)
		if (visit->holds & BIT(i))
			hold(&windows[i]);
	atomic_dec(&held);
	WRITE_ONCE(visit->done, true);
}

static struct place *find_place(unsigned long address)
{
	struct place *place;
	int error;

	for (place = places; place < places + place_count; place++)
		if (place->probe.addr == (kprobe_opcode_t *)address)
			return place;
	if (place_count == PLACES)
		return ERR_PTR(-ENOSPC);
	*place = (struct place){ .probe = { .addr = (kprobe_opcode_t *)address,
					    .pre_handler = reached,
					    .post_handler = passed } };
	error = register_kprobe(&place->probe);
	if (error)
		return ERR_PTR(error);
	place_count++;
	return place;
}

static int add_points(const char *name, char *list, bool holds)
{
	char *text;

	while ((text = strsep(&list, ","))) {
		unsigned long address;
		struct place *place;

		if (kstrtoul(text, 16, &address))
			return -EINVAL;
		place = find_place(address);
		if (IS_ERR(place)) {
			pr_err("%s: %s point at %lx: error %ld\n", name, holds ? "hold" : "until",
			       address, PTR_ERR(place));
			return PTR_ERR(place);
		}
		*(holds ? &place->holds : &place->untils) |= BIT(window_count);
	}
	return 0;
}

static int add_window(char *text)
{
	struct window *window = &windows[window_count];
	char *name = strsep(&text, " ");
	char *time = strsep(&text, " ");
	char *ppm = strsep(&text, " ");
	char *hold_list = strsep(&text, " ");
	unsigned int microseconds;
	int error;

	if (!text || kstrtouint(time, 10, &microseconds) || kstrtouint(ppm, 10, &window->ppm) ||
	    !microseconds || microseconds > LONGEST_US)
		return -EINVAL;
	if (window_count == WINDOWS)
		return -ENOSPC;
	strscpy(window->name, name, sizeof(window->name));
	window->timeout_ns = microseconds * 1000ull;
	error = add_points(name, hold_list, true);
	if (!error)
		error = add_points(name, text, false);
	if (!error)
		window_count++;
	return error;
}

static ssize_t windows_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char *text;
	int error;

	if (size > PAGE_SIZE)
		return -E2BIG;
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&adding);
	error = READ_ONCE(armed) ? -EBUSY : add_window(strim(text));
	mutex_unlock(&adding);
	kfree(text);
	return error ? error : size;
}

static int windows_show(struct seq_file *file, void *nothing)
{
	unsigned int i;

	for (i = 0; i < window_count; i++)
		seq_printf(file, "%s %lld %lld %lld\n", windows[i].name,
			   (long long)atomic64_read(&windows[i].hits),
			   (long long)atomic64_read(&windows[i].met),
			   (long long)atomic64_read(&windows[i].timeouts));
	return 0;
}

static int windows_open(struct inode *inode, struct file *file)
{
	return single_open(file, windows_show, NULL);
}

static const struct file_operations windows_file = {
	.owner = THIS_MODULE,
	.open = windows_open,
	.read = seq_read,
	.write = windows_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* PID 1 tells the counts about once a second; of a kernel that panics this is the last word. */
static int say_all(struct notifier_block *block, unsigned long event, void *data)
{
	unsigned int i;

	for (i = 0; i < window_count; i++)
		pr_emerg("window %s %lld %lld %lld\n", windows[i].name,
			 (long long)atomic64_read(&windows[i].hits),
			 (long long)atomic64_read(&windows[i].met),
			 (long long)atomic64_read(&windows[i].timeouts));
	return NOTIFY_DONE;
}

static struct notifier_block last_word = { .notifier_call = say_all };

static int __init delay_init(void)
{
	struct dentry *folder = debugfs_create_dir("mmrace-delay", NULL);

	debugfs_create_file("windows", 0600, folder, NULL, &windows_file);
	debugfs_create_bool("armed", 0600, folder, &armed);
	return atomic_notifier_chain_register(&panic_notifier_list, &last_word);
}
module_init(delay_init);

/* Without an exit: probes and tasks on their way stay as long as the guest lives. */
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("holds tasks at points of mmrace's windows");
