// SPDX-License-Identifier: GPL-2.0-only
/*
 * A schedule begins when a vCPU is held at one of its accesses and ends when none is held any more.
 * Who is held where is left to chance, such that each function gets its share however often it is
 * run: at a site that this vCPU has hit H times in an active time T, one of P in its function, with F
 * functions seen, the chance is rate * T / (F P H). The rate follows the share of time in which a
 * vCPU may be held: operations that rest for long are held several times in the time that they run.
 *
 * A held vCPU answers no IPI, and may have a lock that the others wait for: a hold has a limit, and
 * ends before it when the others are neither at rest nor at any site for a while, or go to rest for as
 * long. One vCPU at least is never held.
 */
#include "schedule.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"

#define MILLION 1000000u
#define SLICE_NS 500000ull      /* a held vCPU looks this often whether it is to go on */
#define PAUSE_NS 200000ull      /* between two accesses; a longer one is no activity */
#define LINE_SHIFT 6            /* what a conflict is about: a cache line */
#define ENERGY_MOST 7           /* a site that brought new pairs is chosen up to 8 times as often */
#define PLACES 8                /* of a schedule, that get or lose energy by it */
#define CHANGES 8
#define BURST_NS 50000000ull    /* of holds before the share of time counts */
#define TRAIL 8                 /* functions that a vCPU came from, newest last */
#define PROBE 8                 /* each such hold waits for those at rest as long as a hold may last */
#define LATELY 8                /* rests that a mean is about */
#define PACE_STEP 1.1
#define PACE_MOST 1000.0

enum phase { PHASE_FREE, PHASE_HELD, PHASES };

struct visits {
	uint32_t hits[PHASES];
	uint32_t schedule; /* in which `here` was counted */
	uint32_t here;
};

struct turn {
	uint64_t random;
	uint64_t active[PHASES];
	uint64_t latest;
	_Atomic uint64_t progress;
	atomic_bool rests;
	atomic_bool clocked;    /* `clock` is that of the vCPU's thread */
	clockid_t clock;
	struct visits *visits;  /* by site */
	uint32_t *known;        /* by group: sites of it that this vCPU has hit */
	uint32_t groups;        /* that this vCPU has hit */
	/* Sites at which the vCPU last came from one function to another; others read them as they are. */
	_Atomic uint32_t trail[TRAIL];
	_Atomic uint32_t walked;
	/* Under the lock. */
	pthread_cond_t freed;
	_Atomic uint64_t line;  /* this and the next three are read without it as well */
	atomic_bool held;
	atomic_bool met;
	atomic_bool stored;
	uint64_t *seen;         /* by vCPU: its CPU time when this one looked last */
	uint64_t lingers;       /* time at which a hold that was met ends */
	enum shared_step_kind why;
	int priority;
};

struct scheduler {
	struct shared_header *header;
	struct shared_search *search;
	struct shared_site *sites;
	struct shared_step *steps;
	unsigned int vcpus;
	struct turn *turns;
	unsigned char *energy;  /* by site */
	atomic_uint held;       /* vCPUs */
	atomic_bool running;    /* a schedule is */
	_Atomic uint64_t rest_until;
	pthread_mutex_t lock;
	/* Under the lock, but read without it as well. */
	_Atomic uint32_t number; /* of the schedule, from 1 */
	_Atomic uint32_t strategy;
	/* Under the lock. */
	_Atomic uint64_t begun; /* read without the lock as well */
	_Atomic double pace;    /* by which the rate of starts is multiplied; likewise */
	double back;            /* nanoseconds of a hold until those at rest came back, on average */
	uint64_t since;         /* the first schedule began */
	uint64_t spent;         /* nanoseconds of all schedules */
	unsigned int switches;  /* left */
	unsigned int fresh;
	unsigned int places;
	uint32_t place[PLACES];
	unsigned int first_visits;
	bool forced;            /* a vCPU that should have waited had to go on */
	unsigned int changes[CHANGES];
	int lowest;
};

static bool armed(const struct scheduler *scheduler)
{
	return __atomic_load_n(&scheduler->header->armed, __ATOMIC_RELAXED);
}

static void log_count(struct scheduler *scheduler, unsigned int vcpu, const struct access *access,
		      enum shared_step_kind kind, uint64_t count)
{
	uint64_t number = __atomic_fetch_add(&scheduler->search->step_count, 1, __ATOMIC_RELAXED);

	scheduler->steps[number % scheduler->search->steps] = (struct shared_step){
		.time = now_ns(), .word = access->address, .schedule = scheduler->number,
		.site = access->site, .count = count < UINT32_MAX ? count : UINT32_MAX, .vcpu = vcpu,
		.kind = kind, .strategy = scheduler->strategy };
}

static void log_trail(struct scheduler *scheduler, unsigned int vcpu, const struct access *access)
{
	struct visits *visits = &scheduler->turns[vcpu].visits[access->site];

	log_count(scheduler, vcpu, access, STEP_TRAIL,
		  (uint64_t)visits->hits[PHASE_FREE] + visits->hits[PHASE_HELD]);
}

/* With how often the vCPU comes there: whoever replays it has to know how long to wait. */
static void log_step(struct scheduler *scheduler, unsigned int vcpu, const struct access *access,
		     enum shared_step_kind kind)
{
	log_trail(scheduler, vcpu, access);
	log_count(scheduler, vcpu, access, kind,
		  scheduler->turns[vcpu].visits[access->site].here);
}

/* Where all vCPUs came from when a schedule began: without that its steps may mean anything. */
static void log_trails(struct scheduler *scheduler)
{
	for (unsigned int i = 0; i < scheduler->vcpus; i++) {
		struct turn *turn = &scheduler->turns[i];
		uint32_t end = atomic_load(&turn->walked);

		for (uint32_t at = end > TRAIL ? end - TRAIL : 0; at < end; at++)
			log_trail(scheduler, i, &(struct access){
				.site = atomic_load(&turn->trail[at % TRAIL]) });
	}
}

/* The activity of others that a hold may last: each factor of two is as likely. */
static uint64_t draw_limit(struct scheduler *scheduler, struct turn *turn)
{
	double least = scheduler->search->hold_least_us, most = scheduler->search->hold_most_us;

	return 1000.0 * least * pow(most / least, draw_unit(&turn->random));
}

/*
 * Under the lock. Holds may take their share of the time since the first one, and a burst: no more
 * until that is so again.
 */
static void account(struct scheduler *scheduler, uint64_t now)
{
	double share = (double)scheduler->search->share_ppm / MILLION;
	double used, allowed = share * (now - scheduler->since) + BURST_NS;

	scheduler->spent += now - scheduler->begun;
	used = scheduler->spent / allowed;
	if (used < 0.8 && scheduler->pace < PACE_MOST)
		scheduler->pace = scheduler->pace * PACE_STEP;
	else if (used > 0.95 && scheduler->pace > 1 / PACE_MOST)
		scheduler->pace = scheduler->pace / PACE_STEP;
	if (scheduler->spent > BURST_NS)
		atomic_store(&scheduler->rest_until,
			     scheduler->since + (uint64_t)((scheduler->spent - BURST_NS) / share));
}

/* Under the lock. */
static void end_schedule(struct scheduler *scheduler)
{
	struct shared_search *search = scheduler->search;
	uint64_t now = now_ns();

	for (unsigned int i = 0; i < scheduler->places; i++) {
		unsigned char *energy = &scheduler->energy[scheduler->place[i]];

		if (scheduler->fresh)
			*energy += *energy < ENERGY_MOST;
		else
			*energy -= *energy > 0;
	}
	add(&search->schedules, 1);
	add(&search->by_strategy[scheduler->strategy], 1);
	add(&search->fruitful, scheduler->fresh > 0);
	add(&search->held_ns, now - scheduler->begun);
	add(&search->full, scheduler->strategy == STRATEGY_PCT && !scheduler->forced &&
			   scheduler->first_visits >= search->length);
	account(scheduler, now);
	atomic_store(&scheduler->running, false);
}

/* Under the lock. */
static void release(struct scheduler *scheduler, struct turn *turn, enum shared_step_kind why)
{
	turn->held = false;
	turn->why = why;
	atomic_fetch_sub(&scheduler->held, 1);
	pthread_cond_signal(&turn->freed);
}

/* Accesses of all vCPUs so far. */
static uint64_t all_progress(struct scheduler *scheduler)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < scheduler->vcpus; i++)
		sum += atomic_load(&scheduler->turns[i].progress);
	return sum;
}

/* What one that is held sees of the others. */
struct view {
	uint64_t now;
	uint64_t active; /* nanoseconds that another one ran, whichever did most */
	uint64_t progress;
	bool rest;       /* all that are not held do */
};

/*
 * How long a vCPU ran since it was looked at, `*seen` then. That is CPU time, for on a busy host a vCPU
 * waits as well; of a thread without a clock it is all the time that it did not rest.
 */
static uint64_t ran(const struct turn *turn, uint64_t passed, uint64_t *seen)
{
	uint64_t before = *seen;
	struct timespec spent;

	if (!atomic_load(&turn->clocked) || clock_gettime(turn->clock, &spent))
		return atomic_load(&turn->rests) ? 0 : passed;
	*seen = spent.tv_sec * 1000000000ull + spent.tv_nsec;
	return *seen - before;
}

/* Under the lock. */
static void look(struct scheduler *scheduler, struct turn *own, struct view *view)
{
	uint64_t now = now_ns(), most = 0;

	view->rest = true;
	view->progress = all_progress(scheduler);
	for (unsigned int i = 0; i < scheduler->vcpus; i++) {
		struct turn *turn = &scheduler->turns[i];
		uint64_t spent;

		if (turn == own)
			continue;
		spent = ran(turn, now - view->now, &own->seen[i]);
		most = spent > most ? spent : most;
		view->rest = view->rest && (turn->held || atomic_load(&turn->rests));
	}
	view->active += most;
	view->now = now;
}

/*
 * Under the lock. How long a hold waits for others that were at rest when it began: rests that end at
 * all do so in twice the mean, and each eighth hold looks whether that has changed.
 */
static uint64_t patience(struct scheduler *scheduler, struct turn *turn)
{
	uint64_t stuck = scheduler->search->stuck_us * 1000ull;
	uint64_t usual = 2 * scheduler->back;

	if (!(draw(&turn->random) % PROBE))
		return UINT64_MAX;
	return usual > stuck ? usual : stuck;
}

/* Under the lock. Note after which time of a hold the others came back; 0: not in all of its time. */
static void note_back(struct scheduler *scheduler, uint64_t back)
{
	scheduler->back += ((double)back - scheduler->back) / LATELY;
}

/*
 * Under the lock, which is dropped while asleep. A hold waits for the others to come back from their
 * rest, and then lasts for `limit` of their activity: to end before that would have been in vain. Who
 * goes to rest during the hold mostly waits for what the held one has.
 */
static void wait_held(struct scheduler *scheduler, struct turn *turn, uint64_t limit)
{
	const uint64_t stuck = scheduler->search->stuck_us * 1000ull;
	const uint64_t wall = scheduler->search->wall_us * 1000ull;
	const bool ranks = scheduler->strategy == STRATEGY_PCT;
	struct view view = { .now = now_ns() }, start, moved;
	uint64_t awake, waits;
	bool back;

	look(scheduler, turn, &view);
	view.active = 0;
	start = moved = view;
	awake = view.now;
	back = !view.rest;
	waits = back ? stuck : patience(scheduler, turn);
	while (turn->held) {
		struct timespec wake = to_timespec(view.now + SLICE_NS);

		if (!armed(scheduler))
			release(scheduler, turn, STEP_GO);
		else if ((turn->lingers && view.now >= turn->lingers) || view.active >= limit ||
			 view.now >= start.now + wall)
			release(scheduler, turn, STEP_TIMEOUT);
		else if (view.active - moved.active >= stuck ||
			 (view.rest && (ranks || view.now - awake >= waits)))
			release(scheduler, turn, STEP_STUCK);
		scheduler->forced |= !turn->held && turn->why != STEP_GO && !view.rest;
		if (!turn->held)
			break;
		pthread_cond_timedwait(&turn->freed, &scheduler->lock, &wake);
		look(scheduler, turn, &view);
		if (view.progress != moved.progress)
			moved = view;
		if (view.progress == start.progress || (back && view.rest))
			continue;
		if (!back)
			note_back(scheduler, view.now - start.now);
		back = true;
		awake = view.now;
		waits = stuck;
	}
	if (!back && view.now >= start.now + wall)
		note_back(scheduler, 0);
}

/* Under the lock, which is dropped while asleep. Whoever may be held is. */
static void hold(struct scheduler *scheduler, unsigned int vcpu, const struct access *access)
{
	struct shared_search *search = scheduler->search;
	struct turn *turn = &scheduler->turns[vcpu];
	uint64_t before = all_progress(scheduler);

	if (scheduler->places < PLACES)
		scheduler->place[scheduler->places++] = access->site;
	turn->held = true;
	turn->met = false;
	turn->stored = access->store;
	turn->line = access->address >> LINE_SHIFT;
	turn->lingers = 0;
	atomic_fetch_add(&scheduler->held, 1);
	add(&search->holds, 1);
	__atomic_fetch_add(&scheduler->sites[access->site].holds, 1, __ATOMIC_RELAXED);
	log_step(scheduler, vcpu, access, STEP_HELD);
	wait_held(scheduler, turn, draw_limit(scheduler, turn));
	log_count(scheduler, vcpu, access, turn->why, all_progress(scheduler) - before);
	if (turn->why == STEP_TIMEOUT && !turn->met)
		add(&search->timeouts, 1);
	else if (turn->why == STEP_STUCK)
		add(&search->stuck, 1);
	if (!atomic_load(&scheduler->held) && atomic_load(&scheduler->running) &&
	    scheduler->strategy != STRATEGY_PCT)
		end_schedule(scheduler);
}

static bool chance(struct scheduler *scheduler, struct turn *turn, const struct access *access,
		   enum phase phase)
{
	struct shared_search *search = scheduler->search;
	struct visits *visits = &turn->visits[access->site];
	double rate = phase == PHASE_FREE ? search->start_rate * scheduler->pace : search->switch_rate;
	uint32_t hits = visits->hits[phase], known = turn->known[scheduler->sites[access->site].group];
	double share = (double)turn->groups * known * hits;
	double one = rate * (turn->active[phase] / 1e9) * (1 + scheduler->energy[access->site]) / share;

	return draw_unit(&turn->random) < (one < 0.5 ? one : 0.5);
}

static enum shared_strategy draw_strategy(struct scheduler *scheduler, struct turn *turn)
{
	uint32_t number = draw(&turn->random) % MILLION;
	unsigned int strategy = 0;

	while (strategy < STRATEGIES - 1 && number >= scheduler->search->strategy_ppm[strategy])
		number -= scheduler->search->strategy_ppm[strategy++];
	return strategy;
}

/* Under the lock. Distinct numbers from 1 to `length` are not asked for: the later is void. */
static void draw_priorities(struct scheduler *scheduler, struct turn *turn)
{
	struct shared_search *search = scheduler->search;

	for (unsigned int i = 0; i < scheduler->vcpus; i++)
		scheduler->turns[i].priority = 1 + i;
	for (unsigned int i = scheduler->vcpus - 1; i > 0; i--) {
		unsigned int other = draw(&turn->random) % (i + 1);
		int kept = scheduler->turns[i].priority;

		scheduler->turns[i].priority = scheduler->turns[other].priority;
		scheduler->turns[other].priority = kept;
	}
	for (unsigned int i = 0; i < CHANGES; i++)
		scheduler->changes[i] = i + 1 < search->depth ?
					1 + draw(&turn->random) % search->length : 0;
	scheduler->lowest = 0;
}

/* Under the lock. */
static void begin_schedule(struct scheduler *scheduler, struct turn *turn, uint64_t now)
{
	scheduler->number++;
	scheduler->strategy = draw_strategy(scheduler, turn);
	scheduler->switches = draw(&turn->random) % scheduler->search->switches_most + 1;
	scheduler->begun = now;
	scheduler->since = scheduler->since ? scheduler->since : now;
	scheduler->fresh = scheduler->places = scheduler->first_visits = 0;
	scheduler->forced = false;
	if (scheduler->strategy == STRATEGY_PCT)
		draw_priorities(scheduler, turn);
	log_trails(scheduler);
	atomic_store(&scheduler->running, true);
}

static void maybe_begin(struct scheduler *scheduler, unsigned int vcpu,
			const struct access *access)
{
	struct turn *turn = &scheduler->turns[vcpu];

	if (access->time < atomic_load(&scheduler->rest_until) || scheduler->vcpus < 2 ||
	    !chance(scheduler, turn, access, PHASE_FREE))
		return;
	pthread_mutex_lock(&scheduler->lock);
	if (!atomic_load(&scheduler->running)) {
		begin_schedule(scheduler, turn, access->time);
		turn->visits[access->site].schedule = scheduler->number;
		turn->visits[access->site].here = 1;
		if (scheduler->strategy != STRATEGY_PCT)
			hold(scheduler, vcpu, access);
	}
	pthread_mutex_unlock(&scheduler->lock);
}

/* Under the lock. Let a held vCPU go, and be held in its place if switches are left. */
static void swap(struct scheduler *scheduler, unsigned int vcpu, struct turn *held,
		 const struct access *access, enum shared_step_kind kind)
{
	release(scheduler, held, STEP_GO);
	add(&scheduler->search->switched, kind == STEP_SWITCH);
	if (--scheduler->switches) {
		hold(scheduler, vcpu, access);
		return;
	}
	log_step(scheduler, vcpu, access, kind);
	if (!atomic_load(&scheduler->held))
		end_schedule(scheduler);
}

static bool conflicts(const struct turn *held, const struct access *access)
{
	return held->held && !held->met && held->line == access->address >> LINE_SHIFT &&
	       (held->stored || access->store);
}

/* Under the lock. Each second time the two change places, or the held one stays for a while. */
static void meet(struct scheduler *scheduler, unsigned int vcpu, struct turn *held,
		 const struct access *access)
{
	struct turn *turn = &scheduler->turns[vcpu];

	held->met = true;
	add(&scheduler->search->met, 1);
	if (scheduler->switches > 1 && draw(&turn->random) & 1) {
		swap(scheduler, vcpu, held, access, STEP_MEET);
		return;
	}
	log_step(scheduler, vcpu, access, STEP_MEET);
	held->lingers = access->time + draw_unit(&turn->random) * scheduler->search->linger_us * 1000;
	pthread_cond_signal(&held->freed);
}

/* Under the lock: the held vCPU with the highest priority, or any; NULL when none is. */
static struct turn *find_held(struct scheduler *scheduler, struct turn *turn)
{
	unsigned int first = draw(&turn->random) % scheduler->vcpus;
	struct turn *found = NULL;

	for (unsigned int i = 0; i < scheduler->vcpus; i++) {
		struct turn *one = &scheduler->turns[(first + i) % scheduler->vcpus];

		if (one->held && (!found || (scheduler->strategy == STRATEGY_PCT &&
					     one->priority > found->priority)))
			found = one;
	}
	return found;
}

/* An access while another vCPU is held. Looked at without the lock first: most are none. */
static void contend(struct scheduler *scheduler, unsigned int vcpu, const struct access *access)
{
	struct turn *turn = &scheduler->turns[vcpu], *held;
	bool meets = false;
	bool lucky = scheduler->strategy == STRATEGY_SWITCH &&
		     chance(scheduler, turn, access, PHASE_HELD);

	for (unsigned int i = 0; i < scheduler->vcpus; i++)
		meets = meets || (i != vcpu && conflicts(&scheduler->turns[i], access));
	if (!lucky && !(meets && scheduler->strategy == STRATEGY_MEET))
		return;
	pthread_mutex_lock(&scheduler->lock);
	held = find_held(scheduler, turn);
	if (held && scheduler->strategy == STRATEGY_SWITCH) {
		swap(scheduler, vcpu, held, access, STEP_SWITCH);
	} else if (held && scheduler->strategy == STRATEGY_MEET) {
		for (unsigned int i = 0; i < scheduler->vcpus; i++)
			if (conflicts(&scheduler->turns[i], access)) {
				meet(scheduler, vcpu, &scheduler->turns[i], access);
				break;
			}
	}
	pthread_mutex_unlock(&scheduler->lock);
}

/* A schedule by priorities lasts as long as one hold may, at most. */
static bool expired(const struct scheduler *scheduler, const struct access *access)
{
	return access->time > scheduler->begun + scheduler->search->wall_us * 1000ull;
}

/* Under the lock: whether another vCPU is to run in place of this one. */
static bool outranked(struct scheduler *scheduler, const struct turn *turn)
{
	for (unsigned int i = 0; i < scheduler->vcpus; i++) {
		const struct turn *other = &scheduler->turns[i];

		if (other != turn && other->priority > turn->priority &&
		    (other->held || !atomic_load(&other->rests)))
			return true;
	}
	return false;
}

/* A schedule by priorities: at a first visit the highest vCPU of those that can run goes on. */
static void rank(struct scheduler *scheduler, unsigned int vcpu, const struct access *access,
		 bool first)
{
	struct turn *turn = &scheduler->turns[vcpu], *held;
	unsigned int number;

	pthread_mutex_lock(&scheduler->lock);
	if (!atomic_load(&scheduler->running) || scheduler->strategy != STRATEGY_PCT)
		goto out;
	number = scheduler->first_visits += first;
	for (unsigned int i = 0; first && i < CHANGES; i++)
		if (scheduler->changes[i] == number)
			turn->priority = scheduler->lowest--;
	if (number >= scheduler->search->length || expired(scheduler, access)) {
		for (unsigned int i = 0; i < scheduler->vcpus; i++)
			if (scheduler->turns[i].held)
				release(scheduler, &scheduler->turns[i], STEP_GO);
		end_schedule(scheduler);
	} else if (first && outranked(scheduler, turn)) {
		held = find_held(scheduler, turn);
		if (held)
			release(scheduler, held, STEP_GO);
		if (atomic_load(&scheduler->held) + 1 < scheduler->vcpus)
			hold(scheduler, vcpu, access);
	}
out:
	pthread_mutex_unlock(&scheduler->lock);
}

static void walk(struct scheduler *scheduler, struct turn *turn, uint32_t site)
{
	uint32_t walked = atomic_load_explicit(&turn->walked, memory_order_relaxed);
	uint32_t last = turn->trail[(walked - 1) % TRAIL];

	if (walked && scheduler->sites[last].group == scheduler->sites[site].group)
		return;
	atomic_store_explicit(&turn->trail[walked % TRAIL], site, memory_order_relaxed);
	atomic_store_explicit(&turn->walked, walked + 1, memory_order_release);
}

/* Returns whether this is the vCPU's first visit of the site in the running schedule. */
static bool count_visit(struct scheduler *scheduler, struct turn *turn,
			const struct access *access, enum phase phase)
{
	struct visits *visits = &turn->visits[access->site];
	uint32_t group = scheduler->sites[access->site].group;
	uint64_t pause = access->time - turn->latest;

	if (!visits->hits[PHASE_FREE] && !visits->hits[PHASE_HELD] && !turn->known[group]++)
		turn->groups++;
	visits->hits[phase]++;
	turn->active[phase] += pause < PAUSE_NS ? pause : PAUSE_NS;
	turn->latest = access->time;
	walk(scheduler, turn, access->site);
	scheduler_progress(scheduler, turn - scheduler->turns);
	if (visits->schedule == scheduler->number) {
		visits->here++;
		return false;
	}
	visits->schedule = scheduler->number;
	visits->here = 1;
	return true;
}

void scheduler_access(struct scheduler *scheduler, unsigned int vcpu, const struct access *access,
		      unsigned int fresh)
{
	struct turn *turn = &scheduler->turns[vcpu];
	bool running = atomic_load(&scheduler->running);
	bool first = count_visit(scheduler, turn, access, running ? PHASE_HELD : PHASE_FREE);

	if (!scheduler->search->share_ppm)
		return;
	if (!atomic_load(&turn->clocked) && !pthread_getcpuclockid(pthread_self(), &turn->clock))
		atomic_store(&turn->clocked, true);
	if (!running)
		maybe_begin(scheduler, vcpu, access);
	else if (scheduler->strategy == STRATEGY_PCT &&
		 (first || expired(scheduler, access)))
		rank(scheduler, vcpu, access, first);
	else if (atomic_load(&scheduler->held))
		contend(scheduler, vcpu, access);
	if (running && fresh)
		__atomic_fetch_add(&scheduler->fresh, fresh, __ATOMIC_RELAXED);
}

void scheduler_progress(struct scheduler *scheduler, unsigned int vcpu)
{
	atomic_fetch_add_explicit(&scheduler->turns[vcpu].progress, 1, memory_order_relaxed);
}

void scheduler_rests(struct scheduler *scheduler, unsigned int vcpu, bool rests)
{
	atomic_store(&scheduler->turns[vcpu].rests, rests);
}

void scheduler_mark(struct scheduler *scheduler, unsigned int vcpu, uint64_t stack)
{
	log_count(scheduler, vcpu, &(struct access){ .address = stack }, STEP_MARK, 0);
}

struct scheduler *scheduler_open(struct shared_header *header, struct shared_search *search,
				 struct shared_site *sites, struct shared_step *steps,
				 unsigned int vcpus)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));
	pthread_condattr_t attributes;

	if (!scheduler)
		return NULL;
	scheduler->header = header;
	scheduler->search = search;
	scheduler->sites = sites;
	scheduler->steps = steps;
	scheduler->vcpus = vcpus;
	scheduler->pace = 1.0;
	scheduler->back = search->wall_us * 1000.0;
	scheduler->turns = calloc(vcpus, sizeof(*scheduler->turns));
	scheduler->energy = calloc(search->sites + 1, 1);
	if (!scheduler->turns || !scheduler->energy)
		return NULL;
	pthread_mutex_init(&scheduler->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < vcpus; i++) {
		struct turn *turn = &scheduler->turns[i];

		turn->random = header->seed ^ ((uint64_t)(i + 1) << 48);
		turn->seen = calloc(vcpus, sizeof(*turn->seen));
		turn->visits = calloc(search->sites + 1, sizeof(*turn->visits));
		turn->known = calloc(search->groups + 1, sizeof(*turn->known));
		pthread_cond_init(&turn->freed, &attributes);
		if (!turn->seen || !turn->visits || !turn->known)
			return NULL;
	}
	pthread_condattr_destroy(&attributes);
	return scheduler;
}
