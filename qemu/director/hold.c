// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows, delays and meters over the shared state file.
 *
 * What is not armed, and an `until` point that nobody waits for, cost an atomic load or two. All
 * else happens under one mutex: it is about to sleep anyway, or to wake a sleeper.
 */
#include "hold.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "search.h"

/* The harness cannot signal a condition variable: a holder looks this often whether it disarmed. */
#define SLICE_NS 10000000ull
#define DELAY_MIN_NS 10000.0
#define DELAY_DECADES 4.0 /* 10 us to 100 ms */
#define DELAY_OFTEN 20	  /* passes of a point, from which on it is delayed at less often */

struct holding {
	pthread_cond_t freed;
	_Atomic unsigned int waiting;
	unsigned int generation;
};

struct vcpu {
	uint64_t random;
	uint64_t delayed_ns;
	uint64_t instructions;
	uint64_t *started; /* by meter: instructions at its start, plus 1 */
	unsigned char *called; /* by gate */
	unsigned char *open;   /* by gate */
};

struct director {
	struct shared_header *header;
	struct shared_window *windows;
	struct shared_point *points;
	struct shared_meter *meters;
	struct shared_event *events;
	struct search *search; /* NULL when there is none */
	struct place *places;
	unsigned int n_places;
	unsigned int n_vcpus;
	struct vcpu *vcpus;
	struct holding *holdings;
	pthread_mutex_t lock;
	unsigned int held; /* vCPUs that a window holds now; under the lock */
};

bool director_armed(const struct director *director)
{
	return __atomic_load_n(&director->header->armed, __ATOMIC_RELAXED);
}

static bool chance(struct vcpu *vcpu, uint32_t ppm)
{
	return ppm >= 1000000 || draw(&vcpu->random) % 1000000 < ppm;
}

static void record(struct director *director, unsigned int vcpu, unsigned int window,
		   enum shared_event_kind kind)
{
	struct shared_header *header = director->header;
	uint64_t number;

	if (!header->events)
		return;
	number = __atomic_fetch_add(&header->event_count, 1, __ATOMIC_RELAXED);
	director->events[number % header->events] = (struct shared_event){
		.time = now_ns(), .window = window, .vcpu = vcpu, .kind = kind };
}

/* Under the lock. The holders no longer count as held, even before they have woken. */
static void release(struct director *director, struct holding *holding)
{
	director->held -= atomic_exchange(&holding->waiting, 0);
	holding->generation++;
	pthread_cond_broadcast(&holding->freed);
}

/* Under the lock. */
static void until_locked(struct director *director, unsigned int vcpu, unsigned int index)
{
	struct holding *holding = &director->holdings[index];

	if (atomic_load(&holding->waiting)) {
		record(director, vcpu, index, EVENT_UNTIL);
		release(director, holding);
	}
}

static void until(struct director *director, unsigned int vcpu, unsigned int index)
{
	if (!atomic_load(&director->holdings[index].waiting))
		return;
	pthread_mutex_lock(&director->lock);
	until_locked(director, vcpu, index);
	pthread_mutex_unlock(&director->lock);
}

/* Under the lock, which is dropped while asleep. Returns whether another vCPU came. */
static bool wait_for_partner(struct director *director, struct holding *holding, uint64_t end)
{
	unsigned int generation = holding->generation;

	while (holding->generation == generation) {
		uint64_t now = now_ns();
		struct timespec wake;

		if (now >= end || !director_armed(director)) {
			atomic_fetch_sub(&holding->waiting, 1);
			director->held--;
			return false;
		}
		wake = to_timespec(end < now + SLICE_NS ? end : now + SLICE_NS);
		pthread_cond_timedwait(&holding->freed, &director->lock, &wake);
	}
	return true;
}

/* Under the lock, which is dropped while asleep. */
static void hold_locked(struct director *director, unsigned int number, unsigned int index)
{
	struct shared_window *window = &director->windows[index];
	struct holding *holding = &director->holdings[index];
	uint64_t begun;
	bool met;

	if (director->held + 1 >= director->n_vcpus) {
		/* Nobody would be left to come: two windows would only wait for each other. */
		add(&window->busy, 1);
		return;
	}
	director->held++;
	atomic_fetch_add(&holding->waiting, 1);
	add(&window->held, 1);
	record(director, number, index, EVENT_HELD);
	begun = now_ns();
	met = wait_for_partner(director, holding, begun + window->timeout_us * 1000ull);
	record(director, number, index, met ? EVENT_MET : EVENT_TIMEOUT);
	add(met ? &window->met : &window->timeouts, 1);
	add(&window->held_ns, now_ns() - begun);
}

static bool wants_hold(struct director *director, unsigned int number, unsigned int index)
{
	struct shared_window *window = &director->windows[index];

	add(&window->hits, 1);
	return chance(&director->vcpus[number], window->hold_ppm);
}

static void hold(struct director *director, unsigned int number, unsigned int index)
{
	if (!wants_hold(director, number, index))
		return;
	pthread_mutex_lock(&director->lock);
	hold_locked(director, number, index);
	pthread_mutex_unlock(&director->lock);
}

static void sleep_until(const struct director *director, uint64_t end)
{
	for (uint64_t now = now_ns(); now < end && director_armed(director); now = now_ns()) {
		struct timespec wake = to_timespec(end < now + SLICE_NS ? end : now + SLICE_NS);

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
	}
}

/*
 * A point that has been passed often is delayed at less often, or it took all of the share: where a
 * branch is seldom taken, its points are what a race waits for.
 */
static uint32_t delay_ppm(const struct director *director, unsigned int point)
{
	uint64_t hits = __atomic_load_n(&director->points[point].hits, __ATOMIC_RELAXED);
	uint64_t ppm = director->header->delay_ppm;

	return hits > DELAY_OFTEN ? ppm * DELAY_OFTEN / hits : ppm;
}

static void delay(struct director *director, unsigned int number, unsigned int point)
{
	struct shared_header *header = director->header;
	struct vcpu *vcpu = &director->vcpus[number];
	uint64_t now = now_ns(), phase, length;

	if (!chance(vcpu, delay_ppm(director, point)))
		return;
	length = DELAY_MIN_NS * pow(10.0, DELAY_DECADES * draw_unit(&vcpu->random));
	phase = header->armed_before + (now - header->armed_since);
	if (vcpu->delayed_ns + length > phase / 1000000.0 * header->delay_share_ppm)
		return;
	record(director, number, point, EVENT_DELAY);
	sleep_until(director, now + length);
	length = now_ns() - now;
	vcpu->delayed_ns += length;
	add(&header->delays, 1);
	add(&header->delay_ns, length);
}

static void measure(struct director *director, unsigned int number, unsigned int index, uint64_t at)
{
	struct shared_meter *meter = &director->meters[index];
	struct vcpu *vcpu = &director->vcpus[number];
	uint64_t length, count;

	if (!vcpu->started[index])
		return;
	length = at + 1 - vcpu->started[index];
	vcpu->started[index] = 0;
	count = __atomic_fetch_add(&meter->count, 1, __ATOMIC_RELAXED);
	meter->samples[count % METER_SAMPLES] = length;
	add(&meter->instructions, length);
}

/* A gate is open from an entry that came through one of the wanted calls to the next entry. */
static void gate(struct vcpu *vcpu, const struct shared_point *point)
{
	if (point->role == ROLE_GATE_CALL) {
		vcpu->called[point->index] = 1;
	} else {
		vcpu->open[point->index] = vcpu->called[point->index];
		vcpu->called[point->index] = 0;
	}
}

static void act(struct director *director, unsigned int number, unsigned int i, bool locked,
		uint64_t at)
{
	struct shared_point *point = &director->points[i];
	unsigned int index = point->index;

	switch (point->role) {
	case ROLE_UNTIL:
		add(&director->windows[index].passed, 1);
		(locked ? until_locked : until)(director, number, index);
		break;
	case ROLE_METER_STOP:
		measure(director, number, index, at);
		break;
	case ROLE_METER_START:
		director->vcpus[number].started[index] = at + 1;
		break;
	case ROLE_HOLD:
		if (!locked)
			hold(director, number, index);
		else if (wants_hold(director, number, index))
			hold_locked(director, number, index);
		break;
	case ROLE_MARK:
		if (director->search)
			search_mark(director->search, number);
		break;
	default:
		delay(director, number, i);
	}
}

/*
 * A chained place is passed under the lock: whom it lets go finds this vCPU held already, however
 * the host schedules the two threads.
 */
void director_reach(struct director *director, unsigned int number, const struct place *place,
		    unsigned int ahead)
{
	struct vcpu *vcpu = &director->vcpus[number];
	uint64_t at = vcpu->instructions - ahead;
	bool locked = place->chained && director_armed(director);

	if (locked)
		pthread_mutex_lock(&director->lock);
	for (unsigned int i = place->first; i < place->first + place->count; i++) {
		struct shared_point *point = &director->points[i];

		if (point->role <= ROLE_GATE_CALL) {
			gate(vcpu, point);
		} else if (director_armed(director) && (!point->gate || vcpu->open[point->gate - 1])) {
			add(&point->hits, 1);
			act(director, number, i, locked, at);
		}
	}
	if (locked)
		pthread_mutex_unlock(&director->lock);
}

struct place *director_find(const struct director *director, uint64_t address)
{
	unsigned int low = 0, high = director->n_places;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (director->places[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < director->n_places && director->places[low].address == address)
		return &director->places[low];
	return NULL;
}

struct search *director_search(const struct director *director)
{
	return director->search;
}

void director_watches(struct director *director)
{
	__atomic_store_n(&director->header->watching, 1, __ATOMIC_RELEASE);
}

void director_translated(struct director *director, const struct place *place)
{
	for (unsigned int i = place->first; i < place->first + place->count; i++)
		director->points[i].translated = 1;
}

bool director_counts(const struct director *director)
{
	return director->header->meters;
}

void director_block(struct director *director, unsigned int vcpu, unsigned int instructions)
{
	director->vcpus[vcpu].instructions += instructions;
}

static const char *fault(const struct shared_header *header, size_t size)
{
	size_t needed = sizeof(*header);

	if (size < needed || header->magic != SHARED_MAGIC)
		return "not a director state file";
	if (header->version != SHARED_VERSION)
		return "written by another version of mmrace; build the director again";
	needed += (size_t)header->windows * sizeof(struct shared_window);
	needed += (size_t)header->points * sizeof(struct shared_point);
	needed += (size_t)header->meters * sizeof(struct shared_meter);
	needed += (size_t)header->events * sizeof(struct shared_event);
	if (header->search) {
		size_t own = needed + sizeof(struct shared_search) > size ?
			     0 : search_size((const void *)((const char *)header + needed));

		if (!own)
			return "cut off";
		needed += own;
	}
	return header->size != size || size < needed ? "cut off" : NULL;
}

static const char *bad_points(const struct director *director)
{
	const struct shared_header *header = director->header;

	for (unsigned int i = 0; i < header->points; i++) {
		const struct shared_point *point = &director->points[i];
		uint32_t limits[ROLES] = {
			[ROLE_GATE_CALL] = header->gates,   [ROLE_GATE_ENTRY] = header->gates,
			[ROLE_UNTIL] = header->windows,     [ROLE_METER_STOP] = header->meters,
			[ROLE_METER_START] = header->meters, [ROLE_HOLD] = header->windows,
			[ROLE_DELAY] = UINT32_MAX, [ROLE_MARK] = UINT32_MAX,
		};

		if (point->role >= ROLES || point->index >= limits[point->role] ||
		    point->gate > header->gates)
			return "a point names what is not there";
		if (i && point->address < point[-1].address)
			return "points are not sorted";
	}
	return NULL;
}

static bool has_role(const struct director *director, const struct place *place, uint32_t role)
{
	for (unsigned int i = place->first; i < place->first + place->count; i++)
		if (director->points[i].role == role)
			return true;
	return false;
}

static void index_places(struct director *director)
{
	for (unsigned int i = 0; i < director->header->points; i++) {
		const struct shared_point *point = &director->points[i];

		if (!i || point->address != point[-1].address)
			director->places[director->n_places++] =
				(struct place){ .address = point->address, .first = i };
		director->places[director->n_places - 1].count++;
	}
	for (unsigned int i = 0; i < director->n_places; i++) {
		struct place *place = &director->places[i];

		place->chained = has_role(director, place, ROLE_UNTIL) &&
				 has_role(director, place, ROLE_HOLD) &&
				 !has_role(director, place, ROLE_DELAY);
	}
}

static bool make_vcpus(struct director *director)
{
	const struct shared_header *header = director->header;

	director->vcpus = calloc(director->n_vcpus, sizeof(*director->vcpus));
	for (unsigned int i = 0; director->vcpus && i < director->n_vcpus; i++) {
		struct vcpu *vcpu = &director->vcpus[i];

		vcpu->random = header->seed ^ ((uint64_t)i << 56);
		vcpu->started = calloc(header->meters + 1, sizeof(*vcpu->started));
		vcpu->called = calloc(header->gates + 1, 1);
		vcpu->open = calloc(header->gates + 1, 1);
		if (!vcpu->started || !vcpu->called || !vcpu->open)
			return false;
	}
	return director->vcpus;
}

static bool make_holdings(struct director *director)
{
	pthread_condattr_t attributes;

	director->holdings = calloc(director->header->windows + 1, sizeof(*director->holdings));
	if (!director->holdings)
		return false;
	pthread_mutex_init(&director->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < director->header->windows; i++)
		pthread_cond_init(&director->holdings[i].freed, &attributes);
	pthread_condattr_destroy(&attributes);
	return true;
}

struct director *director_open(void *map, size_t size, unsigned int vcpus, const char **why)
{
	struct shared_header *header = map;
	struct director *director;

	*why = fault(header, size);
	if (*why)
		return NULL;
	*why = "out of memory";
	director = calloc(1, sizeof(*director));
	if (!director)
		return NULL;
	director->header = header;
	director->windows = (struct shared_window *)(header + 1);
	director->points = (struct shared_point *)(director->windows + header->windows);
	director->meters = (struct shared_meter *)(director->points + header->points);
	director->events = (struct shared_event *)(director->meters + header->meters);
	director->n_vcpus = vcpus;
	director->places = calloc(header->points + 1, sizeof(*director->places));
	if (!director->places || !make_vcpus(director) || !make_holdings(director))
		return NULL;
	*why = bad_points(director);
	if (*why)
		return NULL;
	if (header->search) {
		director->search = search_open(header, (void *)(director->events + header->events),
					       vcpus, why);
		if (!director->search)
			return NULL;
	}
	index_places(director);
	header->vcpus = vcpus;
	return director;
}
