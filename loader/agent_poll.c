/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See agent_poll.h. Every target has one timer, from one question to the next; the checker process keeps the time-out
 * of a question, and an answer that is still awaited when the next one is due takes its place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "addr.h"
#include "agent_poll.h"
#include "checker.h"
#include "clock.h"
#include "jitter.h"
#include "log.h"

#define ACCURACY_US	1000
#define SPREAD_US	1000	/* between the first questions to those that come together */

struct poll {
	struct agents *agents;
	int id;
	struct agent_target what;
	struct agent_status status;
	sd_event_source *timer;
	__u64 serial;		/* of the question under way; 0: none */
};

struct agents {
	sd_event *event;
	struct checks *checks;
	void (*heard)(void *arg, int id, const struct agent_report *report, __u32 missed);
	void *arg;
	__u64 first_us;		/* when the latest newcomer is asked first */
	struct poll *polls[LB_MAX_BACKENDS];
};

static void arm(struct poll *p, __u64 at_us)
{
	int err = sd_event_source_set_time(p->timer, at_us);

	if (err >= 0)
		err = sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
	if (err < 0)	/* cannot happen with a timer of ours in a loop that lives */
		log_ret(err, "agent of backend %d: timer does not start, it is not asked any more", p->id);
}

static void on_answer(void *arg, const struct checker_answer *answer, const char *transcript)
{
	struct poll *p = arg;
	struct agents *agents = p->agents;
	struct agent_report report;
	__u32 missed = p->status.missed;
	bool good;

	(void)transcript;
	p->serial = 0;
	if (answer->result == CHECK_INTERNAL) {	/* our own trouble is not the agent's */
		log_debug("agent of backend %d: %s", p->id, answer->text);
		return;
	}
	good = answer->result == CHECK_OK && !agent_parse(answer->text, strlen(answer->text), &report);
	p->status.at_ns = clock_us() * 1000;
	p->status.answered = good;
	p->status.missed = good ? 0 : missed + 1;
	p->status.answers_total += good;
	p->status.failures_total += !good;
	snprintf(p->status.text, sizeof(p->status.text), "%s%.150s",
		 answer->result == CHECK_OK && !good ? "not understood: " : "", answer->text);
	/* last: p may be gone afterwards */
	agents->heard(agents->arg, p->id, good ? &report : NULL, good ? missed : missed + 1);
}

static void ask(struct poll *p)
{
	struct checker_request req = {
		.address = p->what.address, .port = p->what.conf.port, .agent = true,
		.conf = { .timeout_ms = p->what.conf.timeout_ms, .source = p->what.source },
	};
	struct checker *checker = NULL;
	__s64 serial;
	int err = checks_checker(p->agents->checks, &checker);

	memcpy(req.send, p->what.conf.send, sizeof(req.send));
	serial = err ? err : checker_ask(checker, &req, on_answer, p);
	if (serial > 0)
		p->serial = serial;
	else
		log_debug("agent of backend %d: not asked: %s", p->id, strerror(-serial));
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct poll *p = arg;

	(void)s;
	(void)usec;
	arm(p, clock_us() + jitter(p->what.conf.interval_ms * 1000ULL));
	if (!p->serial)
		ask(p);
	return 0;
}

static void forget_question(struct poll *p)
{
	struct checker *checker = NULL;

	if (p->serial && !checks_checker(p->agents->checks, &checker))
		checker_cancel(checker, p->serial);
	p->serial = 0;
}

/* --- the interface --- */

int agents_open(sd_event *event, struct checks *checks,
		void (*heard)(void *arg, int id, const struct agent_report *report, __u32 missed), void *arg,
		struct agents **out)
{
	struct agents *agents = calloc(1, sizeof(*agents));

	if (!agents)
		return -ENOMEM;
	agents->event = sd_event_ref(event);
	agents->checks = checks;
	agents->heard = heard;
	agents->arg = arg;
	*out = agents;
	return 0;
}

void agents_close(struct agents *agents)
{
	if (!agents)
		return;
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		agents_remove(agents, id);
	sd_event_unref(agents->event);
	free(agents);
}

static bool id_is_good(int id)
{
	return id > LB_NO_BACKEND && id < LB_MAX_BACKENDS;
}

void agents_remove(struct agents *agents, int id)
{
	struct poll *p = id_is_good(id) ? agents->polls[id] : NULL;

	if (!p)
		return;
	forget_question(p);
	sd_event_source_disable_unref(p->timer);
	free(p);
	agents->polls[id] = NULL;
}

static int poll_new(struct agents *agents, int id, struct poll **out)
{
	struct poll *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->agents = agents;
	p->id = id;
	err = sd_event_add_time(agents->event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US, on_timer, p);
	if (err < 0) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

static bool is_same(const struct agent_target *a, const struct agent_target *b)
{
	return addr_equal(&a->address, &b->address) && addr_equal(&a->source, &b->source) && a->conf.port == b->conf.port &&
	       a->conf.interval_ms == b->conf.interval_ms && a->conf.timeout_ms == b->conf.timeout_ms &&
	       !strcmp(a->conf.send, b->conf.send);
}

/* One newcomer a millisecond; slots that nobody uses any more are not waited for. */
static __u64 first_us(struct agents *agents)
{
	__u64 now = clock_us(), next = agents->first_us + SPREAD_US;

	agents->first_us = next < now || next > now + LB_MAX_BACKENDS * SPREAD_US ? now : next;
	return agents->first_us;
}

int agents_set(struct agents *agents, int id, const struct agent_target *target)
{
	struct poll *p;
	int err;

	if (!id_is_good(id) || !target->conf.port || !target->conf.interval_ms || !target->conf.timeout_ms)
		return -EINVAL;
	p = agents->polls[id];
	if (p && is_same(&p->what, target))
		return 0;
	if (!p) {
		err = poll_new(agents, id, &p);
		if (err)
			return err;
		agents->polls[id] = p;
	}
	forget_question(p);
	p->what = *target;
	p->status = (struct agent_status){};
	arm(p, first_us(agents));
	return 0;
}

bool agents_status(const struct agents *agents, int id, struct agent_status *out)
{
	if (!id_is_good(id) || !agents->polls[id])
		return false;
	*out = agents->polls[id]->status;
	return true;
}
