// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The check engine: when each backend is checked, how long it may take, and what the results add up
 * to. Protocols live in check_*.c, one file for a kind; what follows from a verdict is the
 * caller's affair. Nothing here knows sockets or maps.
 *
 * Every target has one timer, which is the deadline while a check runs and the next start while none does.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "addr.h"
#include "check.h"
#include "log.h"
#include "num.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define SPREAD_US	1000	/* between the first checks of targets that come together */
#define ACCURACY_US	1000	/* sd-event's own default, 250 ms, would bunch the checks */

static const struct check_kind_ops *const kinds[CHECK_KIND_MAX] = {
	[CHECK_TCP] = &check_tcp_ops,
};

static const char *const result_names[] = {
	[CHECK_OK] = "ok",
	[CHECK_BUSY] = "busy",
	[CHECK_REFUSED] = "connection refused",
	[CHECK_TIMEOUT] = "no answer",
	[CHECK_UNREACHABLE] = "unreachable",
	[CHECK_RESET] = "connection reset",
	[CHECK_REJECTED] = "rejected",
	[CHECK_JUNK] = "not SMTP",
	[CHECK_TLS_FAILED] = "TLS failed",
	[CHECK_INTERNAL] = "internal error",
};
static_assert(ARRAY_SIZE(result_names) == CHECK_RESULT_MAX, "a name for every result");

enum run_phase { RUN_IDLE = 0, RUN_STARTING, RUN_STARTED, RUN_ENDED, RUN_PHASE_MAX };

struct check_run {
	struct target *target;
	enum run_phase phase;
	void *data;			/* the kind's */
	__u64 start_us;
	enum check_result result;	/* of a check that ended within its own start() */
	char text[POOL_TEXT_LEN];
};

struct target {
	struct checks *checks;
	int id;
	struct check_target what;
	const struct check_kind_ops *ops;
	struct check_tally tally;
	struct check_status status;
	struct check_run run;
	sd_event_source *timer;
};

struct checks {
	sd_event *event;
	void (*verdict)(void *arg, int id, enum backend_health health, const char *reason);
	void *arg;
	__u64 random;
	__u64 first_us;			/* when the latest newcomer starts */
	struct target *targets[LB_MAX_BACKENDS];
};

const char *check_result_to_str(enum check_result r)
{
	return (unsigned int)r < CHECK_RESULT_MAX ? result_names[r] : "?";
}

static enum backend_health health_of(enum check_result result)
{
	switch (result) {
	case CHECK_OK:
		return HEALTH_UP;
	case CHECK_BUSY:
		return HEALTH_BUSY;
	default:
		return HEALTH_DOWN;
	}
}

bool check_tally_add(struct check_tally *tally, enum check_result result, __u16 rise, __u16 fall)
{
	enum backend_health seen = health_of(result);
	bool worse = seen > tally->health;

	if (result == CHECK_INTERNAL)
		return false;
	if (tally->fresh) {
		*tally = (struct check_tally){ .health = seen };
		return true;
	}
	/* DEAD is the daemon's word, not a check's: a failed check agrees with it. */
	if (seen == tally->health || (seen == HEALTH_DOWN && tally->health == HEALTH_DEAD)) {
		tally->count = 0;
		return false;
	}
	if (!tally->count || tally->worse != worse) {
		tally->worse = worse;
		tally->count = 0;
		tally->nearest = seen;
	} else if (worse ? seen < tally->nearest : seen > tally->nearest) {
		tally->nearest = seen;
	}
	tally->count++;
	if (tally->count < (worse ? fall : rise))
		return false;
	tally->health = tally->nearest;
	tally->count = 0;
	return true;
}

static __u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* interval_us +-10 %, so that checks which once started together drift apart (xorshift64: Marsaglia
 * 2003; nothing secret hangs on it). */
static __u64 jitter(struct checks *checks, __u64 interval_us)
{
	__u64 range = interval_us / 5 + 1;

	checks->random ^= checks->random << 13;
	checks->random ^= checks->random >> 7;
	checks->random ^= checks->random << 17;
	return interval_us - interval_us / 10 + checks->random % range;
}

static void arm(struct target *t, __u64 at_us)
{
	int err = sd_event_source_set_time(t->timer, at_us);

	if (err >= 0)
		err = sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
	if (err < 0)	/* cannot happen with a timer of ours in a loop that lives; silence would be worse */
		log_ret(err, "check of backend %d: timer does not start, it is not checked any more", t->id);
}

/* From start to start, so that a slow server is asked as often as a quick one, but with a pause:
 * a time-out longer than the interval must not make checks follow each other without one. */
static void arm_next(struct target *t, __u64 now)
{
	__u64 interval = t->what.conf.interval_ms * 1000ULL;
	bool doubt = t->tally.count && t->tally.worse;
	__u64 next = t->run.start_us + jitter(t->checks, doubt ? interval / 2 : interval);
	__u64 soonest = now + interval / 10 + 1000;

	arm(t, next > soonest ? next : soonest);
}

/* The last thing that happens in an event: verdict() may remove the target, or close the engine. */
static void finish(struct target *t, enum check_result result, const char *text)
{
	struct checks *checks = t->checks;
	char reason[POOL_TEXT_LEN];
	__u64 now = now_us();
	bool decided;

	t->run.phase = RUN_IDLE;
	t->run.data = NULL;
	t->status.last = result;
	t->status.duration_us = now - t->run.start_us;
	t->status.at_ns = now * 1000;
	snprintf(t->status.text, sizeof(t->status.text), "%s: %s", t->ops->name,
		 text ? text : check_result_to_str(result));
	memcpy(reason, t->status.text, sizeof(reason));
	decided = check_tally_add(&t->tally, result, t->what.conf.rise, t->what.conf.fall);
	arm_next(t, now);
	if (decided)
		checks->verdict(checks->arg, t->id, t->tally.health, reason);
}

void check_done(struct check_run *run, enum check_result result, const char *text)
{
	assert(run->phase == RUN_STARTING || run->phase == RUN_STARTED);
	if (run->phase == RUN_STARTED) {
		finish(run->target, result, text);
		return;
	}
	/* From within start(), which still stands on this run: keep the result until it has returned. */
	run->phase = RUN_ENDED;
	run->result = result;
	snprintf(run->text, sizeof(run->text), "%s", text ? text : check_result_to_str(result));
}

static void start(struct target *t)
{
	struct check_run *run = &t->run;
	char text[POOL_TEXT_LEN];
	int err;

	run->start_us = now_us();
	run->phase = RUN_STARTING;
	run->data = NULL;
	err = t->ops->start(run);
	if (err) {
		finish(t, CHECK_INTERNAL, strerror(-err));
	} else if (run->phase == RUN_ENDED) {
		memcpy(text, run->text, sizeof(text));
		finish(t, run->result, text);
	} else {
		run->phase = RUN_STARTED;
		arm(t, run->start_us + t->what.conf.timeout_ms * 1000ULL);
	}
}

static void stop(struct target *t)
{
	if (t->run.phase == RUN_STARTED)
		t->ops->cancel(&t->run);
	t->run.phase = RUN_IDLE;
	t->run.data = NULL;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct target *t = arg;
	char text[64], duration[32];

	(void)s;
	(void)usec;
	if (t->run.phase == RUN_IDLE) {
		start(t);
		return 0;
	}
	stop(t);
	snprintf(text, sizeof(text), "no answer in %s",
		 num_duration_to_str(t->what.conf.timeout_ms, duration, sizeof(duration)));
	finish(t, CHECK_TIMEOUT, text);
	return 0;
}

int checks_open(sd_event *event, void (*verdict)(void *arg, int id, enum backend_health health, const char *reason),
		void *arg, struct checks **out)
{
	struct checks *checks = calloc(1, sizeof(*checks));

	if (!checks)
		return -ENOMEM;
	/* Early in the boot there may be no randomness yet; the clock will do for spreading checks. */
	if (getrandom(&checks->random, sizeof(checks->random), GRND_NONBLOCK) != sizeof(checks->random))
		checks->random = now_us();
	checks->random |= 1;
	checks->event = sd_event_ref(event);
	checks->verdict = verdict;
	checks->arg = arg;
	*out = checks;
	return 0;
}

static void target_free(struct target *t)
{
	if (!t)
		return;
	stop(t);
	sd_event_source_disable_unref(t->timer);
	free(t);
}

void checks_close(struct checks *checks)
{
	if (!checks)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(checks->targets); i++)
		target_free(checks->targets[i]);
	sd_event_unref(checks->event);
	free(checks);
}

static bool id_is_good(int id)
{
	return id > LB_NO_BACKEND && id < LB_MAX_BACKENDS;
}

void checks_remove(struct checks *checks, int id)
{
	if (!id_is_good(id))
		return;
	target_free(checks->targets[id]);
	checks->targets[id] = NULL;
}

static int target_new(struct checks *checks, int id, struct target **out)
{
	struct target *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->checks = checks;
	t->id = id;
	t->run.target = t;
	err = sd_event_add_time(checks->event, &t->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US, on_timer, t);
	if (err < 0) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

static bool target_is_same(const struct check_target *a, const struct check_target *b)
{
	return addr_equal(&a->address, &b->address) && a->port == b->port && a->conf.kind == b->conf.kind &&
	       a->conf.interval_ms == b->conf.interval_ms && a->conf.timeout_ms == b->conf.timeout_ms &&
	       a->conf.rise == b->conf.rise && a->conf.fall == b->conf.fall;
}

/* One newcomer a millisecond: a thousand SYNs at once would be our own SYN flood. */
static void arm_first(struct target *t)
{
	struct checks *checks = t->checks;
	__u64 now = now_us(), next = checks->first_us + SPREAD_US;

	/* Reloads in quick succession leave slots behind that nobody uses: start over. */
	if (next < now || next > now + LB_MAX_BACKENDS * SPREAD_US)
		next = now;
	checks->first_us = next;
	arm(t, next);
}

int checks_set(struct checks *checks, int id, const struct check_target *target,
	       enum backend_health health, bool fresh)
{
	const struct check_kind_ops *ops;
	struct target *t;
	int err;

	if (!id_is_good(id) || (unsigned int)target->conf.kind >= CHECK_KIND_MAX)
		return -EINVAL;
	if (target->conf.kind == CHECK_NONE) {
		checks_remove(checks, id);
		return 0;
	}
	ops = kinds[target->conf.kind];
	if (!ops)
		return -ENOTSUP;
	if (!target->port || !target->conf.interval_ms || !target->conf.timeout_ms)
		return -EINVAL;
	t = checks->targets[id];
	/* Whoever says "fresh" at every look must not keep the first check from ever coming to its end. */
	if (t && (!fresh || t->tally.fresh) && target_is_same(&t->what, target)) {
		if (t->tally.health != health)
			t->tally = (struct check_tally){ .health = health, .fresh = fresh };
		return 0;
	}
	/* Changed before its first result: still nobody knows. */
	if (t && t->tally.fresh && t->tally.health == health)
		fresh = true;
	if (!t) {
		err = target_new(checks, id, &t);
		if (err)
			return err;
		checks->targets[id] = t;
	}
	stop(t);
	t->what = *target;
	t->ops = ops;
	t->tally = (struct check_tally){ .health = health, .fresh = fresh };
	memset(&t->status, 0, sizeof(t->status));
	arm_first(t);
	return 0;
}

bool checks_status(const struct checks *checks, int id, struct check_status *out)
{
	if (!id_is_good(id) || !checks->targets[id])
		return false;
	*out = checks->targets[id]->status;
	return true;
}

sd_event *check_run_event(struct check_run *run)
{
	return run->target->checks->event;
}

const struct check_target *check_run_target(struct check_run *run)
{
	return &run->target->what;
}

void check_run_set_data(struct check_run *run, void *data)
{
	run->data = data;
}

void *check_run_data(struct check_run *run)
{
	return run->data;
}
