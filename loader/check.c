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
#include "addr.h"
#include "check_inner.h"
#include "clock.h"
#include "jitter.h"
#include "log.h"
#include "num.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define SPREAD_US	1000	/* between the first checks of targets that come together */
#define MAX_STRETCH	5
#define GRACE_US	10000000ULL	/* for kinds that keep the deadline: the checker's own patience is shorter */

static const struct check_kind_ops *const kinds[CHECK_KIND_MAX] = {
	[CHECK_TCP] = &check_tcp_ops,
	[CHECK_GREETING] = &check_smtp_ops,
	[CHECK_EHLO] = &check_smtp_ops,
	[CHECK_STARTTLS] = &check_smtp_ops,
	[CHECK_TLS] = &check_smtp_ops,
	[CHECK_RCPT] = &check_smtp_ops,
	[CHECK_CANARY] = &check_smtp_ops,
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
	[CHECK_UNSCANNED] = "mail is not scanned",
	[CHECK_INTERNAL] = "internal error",
};
static_assert(ARRAY_SIZE(result_names) == CHECK_RESULT_MAX, "a name for every result");

const char *check_result_to_str(enum check_result r)
{
	return (unsigned int)r < CHECK_RESULT_MAX ? result_names[r] : "?";
}

static void arm(struct target *t, __u64 at_us)
{
	int err = sd_event_source_set_time(t->timer, at_us);

	if (err >= 0)
		err = sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
	if (err < 0)	/* cannot happen with a timer of ours in a loop that lives; silence would be worse */
		log_ret(err, "check of backend %d: timer does not start, it is not checked any more", t->id);
}

/* --- one run --- */

__u64 check_run_deadline_us(const struct check_run *run)
{
	return run->start_us + run->what->conf.timeout_ms * 1000ULL + (run->ops->keeps_deadline ? GRACE_US : 0);
}

enum check_result check_run_overdue(const struct check_run *run, char *text, size_t len)
{
	char duration[32];

	if (run->ops->keeps_deadline) {
		snprintf(text, len, "no answer from the checker");
		return CHECK_INTERNAL;
	}
	snprintf(text, len, "no answer in %s", num_duration_to_str(run->what->conf.timeout_ms, duration, sizeof(duration)));
	return CHECK_TIMEOUT;
}

static void run_end(struct check_run *run)
{
	run->phase = RUN_IDLE;
	run->data = NULL;
}

void check_done(struct check_run *run, enum check_result result, const char *text)
{
	assert(run->phase == RUN_STARTING || run->phase == RUN_STARTED);
	if (check_vip_begins(run, result, text))
		return;
	if (run->phase == RUN_STARTED) {
		run_end(run);
		run->ended(run, result, text);
		return;
	}
	/* From within start(), which still stands on this run: keep the result until it has returned. */
	run->phase = RUN_ENDED;
	run->result = result;
	snprintf(run->text, sizeof(run->text), "%s", text ? text : check_result_to_str(result));
}

void check_run_start(struct check_run *run)
{
	int err;

	run->start_us = clock_us();
	run->phase = RUN_STARTING;
	run->data = NULL;
	run->vip_asked = false;
	run->code = 0;
	run->tls_days = -1;
	err = run->ops->start(run);
	if (err)
		check_done(run, CHECK_INTERNAL, strerror(-err));
	else if (run->phase == RUN_STARTING)
		run->phase = RUN_STARTED;
}

void check_run_stop(struct check_run *run)
{
	if (run->knock)
		knock_cancel(run->knock);
	else if (run->phase == RUN_STARTED)
		run->ops->cancel(run);
	run->knock = NULL;
	run_end(run);
}

void check_run_facts(struct check_run *run, __u16 code, __s32 tls_days)
{
	run->code = code;
	run->tls_days = tls_days;
}

__u32 check_run_connect_ms(const struct check_run *run)
{
	return run->connect_ms;
}

bool check_run_wants_transcript(const struct check_run *run)
{
	return run->wants_transcript;
}

void check_run_transcript(struct check_run *run, const char *text)
{
	free(run->transcript);
	run->transcript = strdup(text);
}

int checks_checker(struct checks *checks, struct checker **out)
{
	int err = checks->checker ? 0 : checker_open(checks->event, &checks->checker);

	if (!err)
		*out = checks->checker;
	return err;
}

int check_run_checker(struct check_run *run, struct checker **out)
{
	return checks_checker(run->checks, out);
}

/* --- one target --- */

/* From start to start, so that a slow server is asked as often as a quick one, but with a pause:
 * a time-out longer than the interval must not make checks follow each other without one. */
static void arm_next(struct target *t, __u64 now)
{
	__u64 interval = t->what.conf.interval_ms * 1000ULL;
	bool doubt = t->tally.count && t->tally.worse;
	__u64 next = t->run.start_us + jitter(doubt ? interval / 2 : interval * t->stretch);
	__u64 soonest = now + interval / 10 + 1000;

	arm(t, next > soonest ? next : soonest);
}

/* Traffic that goes well since the last check makes the next one less urgent. */
static void note_evidence(struct target *t, enum check_result result)
{
	/* Mail flows as well, or better, where nobody scans it. */
	bool proven = t->evidence_us >= t->run.start_us && t->tally.health == HEALTH_UP && result == CHECK_OK &&
		      !t->what.conf.must_refuse;

	if (!proven)
		t->stretch = 1;
	else if (t->stretch < MAX_STRETCH)
		t->stretch++;
	t->evidence_us = 0;
}

static void watch_certificate(struct target *t)
{
	bool soon = t->run.tls_days >= 0 && t->run.tls_days < t->what.conf.cert_days;

	if (soon && !t->warned_of_cert)
		log_warn("check of backend %d: its certificate ends in %d days", t->id, (int)t->run.tls_days);
	t->warned_of_cert = soon || (t->run.tls_days < 0 && t->warned_of_cert);
}

/* The last thing that happens in an event: verdict() may remove the target, or close the engine. */
static void finish(struct check_run *run, enum check_result result, const char *text)
{
	struct target *t = (struct target *)((char *)run - offsetof(struct target, run));
	struct checks *checks = run->checks;
	char reason[POOL_TEXT_LEN];
	__u64 now = clock_us();
	bool decided;

	t->status.last = result;
	t->status.duration_us = now - run->start_us;
	t->status.at_ns = now * 1000;
	t->status.code = run->code;
	t->status.tls_days = run->tls_days;
	snprintf(t->status.text, sizeof(t->status.text), "%s: %s", run->ops->name,
		 text ? text : check_result_to_str(result));
	memcpy(reason, t->status.text, sizeof(reason));
	decided = check_tally_add(&t->tally, result, t->what.conf.rise, t->what.conf.fall, now * 1000);
	note_evidence(t, result);
	watch_certificate(t);
	arm_next(t, now);
	if (decided)
		checks->verdict(checks->arg, t->id, t->tally.health, reason);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct target *t = arg;
	enum check_result result;
	char text[POOL_TEXT_LEN];

	(void)s;
	(void)usec;
	if (t->run.knock)	/* which keeps its own time */
		return 0;
	if (t->run.phase != RUN_IDLE) {
		result = check_run_overdue(&t->run, text, sizeof(text));
		check_run_stop(&t->run);
		finish(&t->run, result, text);
		return 0;
	}
	check_run_start(&t->run);
	if (t->run.phase == RUN_ENDED) {
		memcpy(text, t->run.text, sizeof(text));
		run_end(&t->run);
		finish(&t->run, t->run.result, text);
	} else {
		arm(t, check_run_deadline_us(&t->run));
	}
	return 0;
}

void checks_evidence(struct checks *checks, int id, bool healthy)
{
	struct target *t = check_id_is_good(id) ? checks->targets[id] : NULL;
	__u64 now = clock_us();

	if (!t)
		return;
	if (healthy) {
		t->evidence_us = now;
		return;
	}
	t->evidence_us = 0;
	t->stretch = 1;
	/* Doubt comes with every lost packet: a quarter of the interval between checks is enough haste. */
	if (t->run.phase == RUN_IDLE && now - t->run.start_us >= t->what.conf.interval_ms * 250ULL)
		arm(t, now);
}

/* --- the engine --- */

int checks_open(sd_event *event, void (*verdict)(void *arg, int id, enum backend_health health, const char *reason),
		void *arg, struct checks **out)
{
	struct checks *checks = calloc(1, sizeof(*checks));

	if (!checks)
		return -ENOMEM;
	checks->event = sd_event_ref(event);
	checks->verdict = verdict;
	checks->arg = arg;
	TAILQ_INIT(&checks->now);
	*out = checks;
	return 0;
}

void checks_set_hop(struct checks *checks, int (*hop)(void *arg, int id, struct nexthop *out))
{
	checks->hop = hop;
}

static void target_free(struct target *t)
{
	if (!t)
		return;
	check_run_stop(&t->run);
	sd_event_source_disable_unref(t->timer);
	free(t);
}

void checks_close(struct checks *checks)
{
	if (!checks)
		return;
	checks_now_end(checks, 0);
	for (size_t i = 0; i < ARRAY_SIZE(checks->targets); i++)
		target_free(checks->targets[i]);
	checker_close(checks->checker);
	knocks_close(checks->knocks);
	sd_event_unref(checks->event);
	free(checks);
}

bool check_id_is_good(int id)
{
	return id > LB_NO_BACKEND && id < LB_MAX_BACKENDS;
}

void checks_remove(struct checks *checks, int id)
{
	if (!check_id_is_good(id))
		return;
	target_free(checks->targets[id]);
	checks->targets[id] = NULL;
	checks_now_end(checks, id);
}

static int target_new(struct checks *checks, int id, struct target **out)
{
	struct target *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->id = id;
	t->stretch = 1;
	t->run.checks = checks;
	t->run.id = id;
	t->run.what = &t->what;
	t->run.ended = finish;
	err = sd_event_add_time(checks->event, &t->timer, CLOCK_MONOTONIC, UINT64_MAX, CHECK_ACCURACY_US, on_timer, t);
	if (err < 0) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

static bool conf_is_same(const struct check_conf *a, const struct check_conf *b)
{
	return a->kind == b->kind && a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
	       a->rise == b->rise && a->fall == b->fall && a->cert_days == b->cert_days && a->verify == b->verify &&
	       a->proxy == b->proxy && a->must_refuse == b->must_refuse && a->no_vip == b->no_vip &&
	       addr_equal(&a->source, &b->source) && !strcmp(a->ehlo, b->ehlo) &&
	       !strcmp(a->keywords, b->keywords) && !strcmp(a->from, b->from) && !strcmp(a->to, b->to) &&
	       !strcmp(a->name, b->name);
}

static bool target_is_same(const struct check_target *a, const struct check_target *b)
{
	return addr_equal(&a->address, &b->address) && a->port == b->port && conf_is_same(&a->conf, &b->conf) &&
	       addr_equal(&a->vip, &b->vip) && a->vip_ports_n == b->vip_ports_n &&
	       !memcmp(a->vip_ports, b->vip_ports, a->vip_ports_n * sizeof(*a->vip_ports));
}

/* One newcomer a millisecond: a thousand SYNs at once would be our own SYN flood. */
static void arm_first(struct target *t)
{
	struct checks *checks = t->run.checks;
	__u64 now = clock_us(), next = checks->first_us + SPREAD_US;

	/* Reloads in quick succession leave slots behind that nobody uses: start over. */
	if (next < now || next > now + LB_MAX_BACKENDS * SPREAD_US)
		next = now;
	checks->first_us = next;
	arm(t, next);
}

/* Somebody else knows better. A check under way may have begun before that was so: it does not count. */
static void begin_again(struct target *t, enum backend_health health, bool fresh)
{
	check_tally_reset(&t->tally, health, fresh, clock_ns());
	if (t->run.phase == RUN_IDLE)
		return;
	check_run_stop(&t->run);
	arm_first(t);
}

int checks_set(struct checks *checks, int id, const struct check_target *target,
	       enum backend_health health, bool fresh)
{
	const struct check_kind_ops *ops;
	struct target *t;
	int err;

	if (!check_id_is_good(id) || (unsigned int)target->conf.kind >= CHECK_KIND_MAX)
		return -EINVAL;
	if (target->conf.kind == CHECK_NONE) {
		checks_remove(checks, id);
		return 0;
	}
	ops = kinds[target->conf.kind];
	if (!ops)
		return -ENOTSUP;
	if (!target->port || !target->conf.interval_ms || !target->conf.timeout_ms || target->vip_ports_n > LB_MAX_PORTS)
		return -EINVAL;
	t = checks->targets[id];
	/* Whoever says "fresh" at every look must not keep the first check from ever coming to its end. */
	if (t && (!fresh || t->tally.fresh) && target_is_same(&t->what, target)) {
		if (t->tally.health != health)
			begin_again(t, health, fresh);
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
	check_run_stop(&t->run);
	t->what = *target;
	t->run.ops = ops;
	t->stretch = 1;
	t->warned_of_cert = false;
	t->tally = (struct check_tally){ .health = health, .fresh = fresh };
	memset(&t->status, 0, sizeof(t->status));
	arm_first(t);
	return 0;
}

bool checks_status(const struct checks *checks, int id, struct check_status *out)
{
	if (!check_id_is_good(id) || !checks->targets[id])
		return false;
	*out = checks->targets[id]->status;
	return true;
}

pid_t checks_checker_pid(const struct checks *checks)
{
	return checks->checker ? checker_pid(checks->checker) : 0;
}

void checks_checker_status(const struct checks *checks, struct checker_status *out)
{
	*out = (struct checker_status){};
	if (checks->checker)
		checker_status(checks->checker, out);
	for (size_t i = 0; i < ARRAY_SIZE(checks->targets) && !out->wanted; i++)
		out->wanted = checks->targets[i] && checks->targets[i]->run.ops == &check_smtp_ops;
}

sd_event *check_run_event(struct check_run *run)
{
	return run->checks->event;
}

const struct check_target *check_run_target(struct check_run *run)
{
	return run->what;
}

void check_run_set_data(struct check_run *run, void *data)
{
	run->data = data;
}

void *check_run_data(struct check_run *run)
{
	return run->data;
}
