/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state file that harness and director both map. harness/mmrace/windows/shared.py writes the same
 * layout with struct formats; change both, and SHARED_VERSION with them. Little endian.
 *
 *   struct shared_header
 *   struct shared_window [windows]
 *   struct shared_point  [points]    sorted by address, then by role
 *   struct shared_meter  [meters]
 *   struct shared_event  [events]    a ring: entry N is at N % events
 *
 * "H" marks what the harness writes, before QEMU starts unless said otherwise; "D" what the
 * director writes. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef DIRECTOR_SHARED_H
#define DIRECTOR_SHARED_H

#include <stdint.h>

#define SHARED_MAGIC 0x44524d4du /* "MMRD" */
#define SHARED_VERSION 1u
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
	uint64_t pad[3];
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

_Static_assert(sizeof(struct shared_header) == 128, "layout");
_Static_assert(sizeof(struct shared_window) == 64, "layout");
_Static_assert(sizeof(struct shared_point) == 32, "layout");
_Static_assert(sizeof(struct shared_event) == 16, "layout");

#endif
