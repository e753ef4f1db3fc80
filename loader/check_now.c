/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks out of turn: what a person asks for, with the dialogue, and probes, which only want to know whether anybody is
 * there. One run beside the schedule, without any consequence: it must not touch a target's counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check_inner.h"

static size_t *counter(struct check_now *n)
{
	return n->run.connect_ms ? &n->run.checks->probes_n : &n->run.checks->now_n;
}

static void now_free(struct check_now *n)
{
	check_run_stop(&n->run);
	TAILQ_REMOVE(&n->run.checks->now, n, link);
	--*counter(n);
	sd_event_source_disable_unref(n->timer);
	free(n->run.transcript);
	free(n);
}

static void tell(struct check_now *n, enum check_result result, const char *text)
{
	void (*done)(void *, enum check_result, const char *, const char *) = n->done;
	char said[POOL_TEXT_LEN];
	char *transcript = n->run.transcript;
	void *arg = n->arg;

	snprintf(said, sizeof(said), "%s: %s", n->run.ops->name, text ? text : check_result_to_str(result));
	n->run.transcript = NULL;
	/* Gone before the call, which may close the engine. */
	now_free(n);
	done(arg, result, said, transcript ? transcript : "");
	free(transcript);
}

static void ended(struct check_run *run, enum check_result result, const char *text)
{
	tell((struct check_now *)((char *)run - offsetof(struct check_now, run)), result, text);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct check_now *n = arg;
	enum check_result result;
	char text[POOL_TEXT_LEN];

	(void)s;
	(void)usec;
	if (n->run.knock)	/* which keeps its own time */
		return 0;
	if (n->run.phase == RUN_ENDED) {
		memcpy(text, n->run.text, sizeof(text));
		result = n->run.result;
	} else {
		result = check_run_overdue(&n->run, text, sizeof(text));
	}
	tell(n, result, text);
	return 0;
}

static int now_start(struct checks *checks, int id, __u32 connect_ms,
		     void (*done)(void *arg, enum check_result result, const char *text, const char *transcript), void *arg)
{
	const struct target *t = checks->targets[id];
	struct check_now *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->id = id;
	n->what = t->what;
	n->done = done;
	n->arg = arg;
	n->run.checks = checks;
	n->run.id = id;
	n->run.what = &n->what;
	n->run.ops = t->run.ops;
	n->run.ended = ended;
	n->run.connect_ms = connect_ms;
	n->run.wants_transcript = !connect_ms;
	err = sd_event_add_time(checks->event, &n->timer, CLOCK_MONOTONIC, UINT64_MAX, CHECK_ACCURACY_US, on_timer, n);
	if (err < 0) {
		free(n);
		return err;
	}
	if (connect_ms) {
		/* only these take leave of a mail server properly, whatever kind its checks are of */
		n->run.ops = &check_smtp_ops;
		n->what.conf.kind = n->what.conf.kind == CHECK_TLS ? CHECK_TLS : CHECK_GREETING;
	}
	TAILQ_INSERT_TAIL(&checks->now, n, link);
	++*counter(n);
	check_run_start(&n->run);
	sd_event_source_set_time(n->timer, n->run.phase == RUN_ENDED ? 0 : check_run_deadline_us(&n->run));
	return 0;
}

int checks_run_now(struct checks *checks, int id,
		   void (*done)(void *arg, enum check_result result, const char *text, const char *transcript), void *arg)
{
	if (!check_id_is_good(id) || !checks->targets[id])
		return -ENOENT;
	return checks->now_n < CHECK_MAX_NOW ? now_start(checks, id, 0, done, arg) : -EBUSY;
}

int checks_probe(struct checks *checks, int id, __u32 connect_ms,
		 void (*done)(void *arg, enum check_result result, const char *text, const char *transcript), void *arg)
{
	if (!check_id_is_good(id) || !checks->targets[id])
		return -ENOENT;
	return checks->probes_n < CHECK_MAX_PROBES ? now_start(checks, id, connect_ms, done, arg) : -EBUSY;
}

void checks_run_forget(struct checks *checks, const void *arg)
{
	struct check_now *n, *next;

	for (n = TAILQ_FIRST(&checks->now); n; n = next) {
		next = TAILQ_NEXT(n, link);
		if (n->arg == arg)
			now_free(n);
	}
}

void checks_now_end(struct checks *checks, int id)
{
	struct check_now *n, *next;

	for (n = TAILQ_FIRST(&checks->now); n; n = next) {
		next = TAILQ_NEXT(n, link);
		if (!id || n->id == id)
			tell(n, CHECK_INTERNAL, "its checks have ended");
	}
}
