/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state file that harness and director both map. harness/mmrace/windows/shared.py and search.py write the same
 * layout with struct formats; change both, and SHARED_VERSION with them. Little endian.
 *
 *   struct shared_header
 *   struct shared_window [windows]
 *   struct shared_point  [points]    sorted by address, then by role
 *   struct shared_meter  [meters]
 *   struct shared_event  [events]    a ring: entry N is at N % events
 *   struct shared_search             if `search` is set, as is all that follows
 *   struct shared_site   [sites]     sorted by address
 *   struct shared_pair   [pairs]     a hash table: unused entries have a count of 0
 *   struct shared_step   [steps]     a ring, as that of events
 *   struct shared_trace  [traces]    a ring of traces / vCPUs for each vCPU; unused ones are 0
 *
 * "H" marks what the harness writes, before QEMU starts unless said otherwise; "D" what the
 * director writes. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef DIRECTOR_SHARED_H
#define DIRECTOR_SHARED_H

#include <stdint.h>

#define SHARED_MAGIC 0x44524d4du /* "MMRD" */
#define SHARED_VERSION 3u
#define METER_SAMPLES 4096u

/* What reaching an address means. At one address the lower number comes first. */
enum shared_role {
	ROLE_GATE_ENTRY = 0, /* opens the gate if the vCPU has been told to, else closes it */
	ROLE_GATE_CALL = 1,  /* tells the vCPU to open the gate at its next entry */
	ROLE_UNTIL = 2,      /* lets the holders of window `index` go */
	ROLE_METER_STOP = 3, /* ends a measurement of meter `index` */
	ROLE_METER_START = 4,
	ROLE_HOLD = 5,       /* holds the vCPU for window `index` */
	ROLE_DELAY = 6,      /* may stall the vCPU for a random time */
	ROLE_MARK = 7,       /* notes in the search's log that the kernel reports a failure */
	ROLES
};

enum shared_event_kind { EVENT_HELD = 1, EVENT_MET = 2, EVENT_TIMEOUT = 3, EVENT_DELAY = 4, EVENT_UNTIL = 5 };

struct shared_header {
	uint32_t magic;           /* H */
	uint32_t version;         /* H */
	uint32_t size;            /* H: of the whole file, bytes */
	uint32_t windows;         /* H */
	uint32_t points;          /* H */
	uint32_t gates;           /* H */
	uint32_t meters;          /* H */
	uint32_t events;          /* H: places in the ring */
	uint64_t seed;            /* H */
	uint64_t armed_since;     /* H, at any time: when the present race phase began */
	uint64_t armed_before;    /* H, at any time: length of all earlier race phases */
	uint32_t armed;           /* H, at any time: 1 in the race phase */
	uint32_t delay_ppm;       /* H: probability of a delay, parts per million */
	uint32_t delay_share_ppm; /* H: most of the race phase that a vCPU may be delayed */
	uint32_t attached;        /* D: plugin interface version, when the director has started */
	uint32_t vcpus;           /* D */
	uint32_t watching;        /* D: 1 since it sees what is translated, in the first race phase */
	uint64_t event_count;     /* D: events ever written */
	uint64_t delays;          /* D */
	uint64_t delay_ns;        /* D: of all vCPUs together */
	uint32_t search;          /* H: 1 when a struct shared_search follows the events */
	uint32_t pad[5];
};

struct shared_window {
	uint32_t timeout_us;      /* H */
	uint32_t hold_ppm;        /* H: probability of holding */
	uint64_t hits;            /* D: hold point reached */
	uint64_t held;            /* D: hits that became holds */
	uint64_t met;             /* D: holds that ended because another vCPU came */
	uint64_t timeouts;        /* D: holds that nobody met */
	uint64_t passed;          /* D: `until` point reached, held or not */
	uint64_t held_ns;         /* D */
	uint64_t busy;            /* D: hits let through, since nobody else was left to run */
};

struct shared_point {
	uint64_t address;         /* H: guest virtual address of an instruction */
	uint32_t role;            /* H: enum shared_role */
	uint32_t index;           /* H: of a window, meter or gate, by role */
	uint32_t gate;            /* H: 0, or 1 + the gate that must be open */
	uint32_t translated;      /* D: QEMU has translated the instruction */
	uint64_t hits;            /* D: while armed, gate open */
};

struct shared_meter {
	uint64_t count;           /* D: measurements */
	uint64_t instructions;    /* D: sum over them */
	uint64_t samples[METER_SAMPLES]; /* D: measurement N is at N % METER_SAMPLES */
};

struct shared_event {
	uint64_t time;            /* D */
	uint32_t window;          /* D: index; of a point for EVENT_DELAY */
	uint16_t vcpu;            /* D */
	uint16_t kind;            /* D: enum shared_event_kind */
};

/* How a schedule chooses who runs; struct shared_search has the probability of each. */
enum shared_strategy {
	STRATEGY_SWITCH = 0, /* hold one vCPU until a random access of another one, which is held then */
	STRATEGY_MEET = 1,   /* hold one vCPU until another one makes a conflicting access */
	STRATEGY_PCT = 2,    /* priorities that change at random accesses (Burckhardt et al., 2010) */
	STRATEGIES
};

enum shared_step_kind {
	STEP_HELD = 1,    /* the vCPU stands after the access */
	STEP_SWITCH = 2,  /* the access let a held vCPU go by chance */
	STEP_MEET = 3,    /* the access conflicts with that of a held vCPU */
	STEP_TIMEOUT = 4, /* a held vCPU went on: its time was over, or that since it was met */
	STEP_STUCK = 5,   /* a held vCPU went on: no other one made progress */
	STEP_GO = 6,      /* a held vCPU went on: a switch let it go, or the race phase ended */
	STEP_MARK = 7,    /* the kernel reports a failure */
	STEP_TRAIL = 8    /* the vCPU is at this site, or was before a schedule began, oldest first */
};

struct shared_search {
	uint32_t sites;            /* H */
	uint32_t groups;           /* H: functions that the sites belong to */
	uint32_t pairs;            /* H: places in the table, a power of two */
	uint32_t steps;            /* H: places in the ring */
	uint32_t stack_shift;      /* H: log2 of the size of a kernel stack */
	uint32_t share_ppm;        /* H: most of the time in which a vCPU may be held; 0: never hold */
	uint32_t strategy_ppm[3];  /* H: probability by enum shared_strategy */
	uint32_t switches_most;    /* H: switches in a schedule, 1 to so many */
	uint32_t hold_least_us;    /* H: range of the others' activity that a hold lasts for */
	uint32_t hold_most_us;     /* H */
	uint32_t stuck_us;         /* H: a hold ends when no other vCPU made progress for so long */
	uint32_t linger_us;        /* H: longest time that a vCPU stays held after it was met */
	uint32_t depth;            /* H: of the bug that STRATEGY_PCT looks for */
	uint32_t length;           /* H: first visits among which STRATEGY_PCT has its changes */
	uint32_t start_rate;       /* H: holds that begin a schedule, a second of a vCPU's activity */
	uint32_t switch_rate;      /* H: switches, a second of activity while another vCPU is held */
	uint32_t wall_us;          /* H: longest time of a hold */
	uint32_t traces;           /* H: places in the rings of all vCPUs */
	uint64_t accesses;         /* D: while armed */
	uint64_t pairs_used;       /* D */
	uint64_t pairs_lost;       /* D: pairs that the table had no place for */
	uint64_t step_count;       /* D: steps ever written */
	uint64_t schedules;        /* D */
	uint64_t by_strategy[3];   /* D: schedules */
	uint64_t holds;            /* D */
	uint64_t met;              /* D: holds that a conflicting access ended */
	uint64_t switched;         /* D: holds that a switch ended */
	uint64_t timeouts;         /* D: holds whose time was over */
	uint64_t stuck;            /* D: holds that ended since no other vCPU made progress */
	uint64_t held_ns;          /* D: time in which a vCPU was held */
	uint64_t fruitful;         /* D: schedules that brought pairs not seen before */
	uint64_t full;             /* D: PCT schedules that made all `length` first visits, none forced */
};

enum shared_site_flag {
	SITE_STACK = 1, /* the access tells where the vCPU's stack is */
	SITE_TRACE = 2  /* the access is traced; no pair is made of it, and nobody is held there */
};

struct shared_site {
	uint64_t address;          /* H: of the instruction that makes the access */
	uint32_t group;            /* H: function, below `groups` */
	uint32_t flags;            /* H: enum shared_site_flag */
	uint64_t hits;             /* D: while armed */
	uint32_t stores;           /* D: 1 when it has stored */
	uint32_t holds;            /* D */
};

/* Two vCPUs at one word, one of them storing: `second` came after `first`. */
struct shared_pair {
	uint32_t first;            /* D: a site */
	uint32_t second;           /* D: a site */
	uint32_t count;            /* D */
	uint32_t kinds;            /* D: 1 when `first` stored, 2 when `second` did */
	uint64_t gap_ns;           /* D: shortest time between the two */
	uint64_t word;             /* D: guest virtual address, of the shortest */
	uint64_t since;            /* D: schedule that brought it first */
};

struct shared_step {
	uint64_t time;             /* D */
	uint64_t word;             /* D: guest virtual address of the access; of STEP_MARK the
				      number of the stack that the vCPU was on */
	uint32_t schedule;         /* D */
	uint32_t site;             /* D */
	uint32_t count;            /* D: of the site by this vCPU in this schedule, from 1; where a
				      hold ends, the accesses of others during it */
	uint16_t vcpu;             /* D */
	uint8_t kind;              /* D: enum shared_step_kind */
	uint8_t strategy;          /* D: enum shared_strategy */
};

/* An access. */
struct shared_trace {
	uint64_t time;             /* D */
	uint64_t word;             /* D: guest virtual address */
	uint64_t stack;            /* D: number of the stack that the vCPU was on: a task's, mostly */
	uint32_t site;             /* D */
	uint16_t vcpu;             /* D */
	uint16_t store;            /* D: 1 when it stored */
};

_Static_assert(sizeof(struct shared_search) == 208, "layout");
_Static_assert(sizeof(struct shared_site) == 32, "layout");
_Static_assert(sizeof(struct shared_pair) == 40, "layout");
_Static_assert(sizeof(struct shared_step) == 32, "layout");
_Static_assert(sizeof(struct shared_trace) == 32, "layout");
_Static_assert(sizeof(struct shared_header) == 128, "layout");
_Static_assert(sizeof(struct shared_window) == 64, "layout");
_Static_assert(sizeof(struct shared_point) == 32, "layout");
_Static_assert(sizeof(struct shared_event) == 16, "layout");

#endif
