/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks that a person asks for: one at a time for each backend, and what was said in the last one, kept for
 * whoever comes to read it. They change no state; the schedule goes on beside them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_inner.h"
#include "log.h"

struct control_asked {
	bool running;
	enum check_result result;
	__u64 begun_ns, took_ns;
	char text[POOL_TEXT_LEN];
	char *dialogue;			/* NULL: out of memory */
};

/* "smtp: 250 ok": who checks is no news to whoever asked for the check. */
static const char *without_kind(const char *text)
{
	const char *colon = strstr(text, ": ");

	return colon ? colon + 2 : text;
}

/* A check that does not speak has a dialogue of one line. May be called from within the engine: no calls back. */
static void on_done(void *arg, enum check_result result, const char *text, const char *transcript)
{
	struct control_asked *asked = arg;

	asked->running = false;
	asked->result = result;
	asked->took_ns = clock_ns() - asked->begun_ns;
	snprintf(asked->text, sizeof(asked->text), "%s", without_kind(text));
	free(asked->dialogue);
	asked->dialogue = NULL;
	if (*transcript)
		asked->dialogue = strdup(transcript);
	else if (asprintf(&asked->dialogue, "* %s\n", asked->text) == -1)
		asked->dialogue = NULL;
}

void control_check_forget(struct control *ctl, int id)
{
	struct control_asked *asked = ctl->asked[id];

	if (!asked)
		return;
	checks_run_forget(ctl->checks, asked);
	free(asked->dialogue);
	free(asked);
	ctl->asked[id] = NULL;
}

static int find(struct control *ctl, const char *name, struct lb_error *err)
{
	int id = pool_backend_find(ctl->config->pool, name);

	return id >= 0 ? id : lb_error(err, LB_EXIT_NOT_FOUND, "there is no backend \"%.64s\": see lbctl list", name);
}

/* Why the engine would not. */
static int refuse(const struct control *ctl, int id, int cause, struct lb_error *err)
{
	const struct backend *be = &ctl->config->pool->backends[id];

	if (cause == -ENOENT && be->admin == ADMIN_DISABLED)
		return lb_error(err, LB_EXIT_CONFLICT, "backend \"%s\" is disabled, so it is not checked", be->name);
	if (cause == -ENOENT)
		return lb_error(err, LB_EXIT_CONFLICT, "backend \"%s\" is not checked: its service \"%s\" has \"check: none\"",
				be->name, ctl->config->pool->services[be->service].name);
	if (cause == -EBUSY)
		return lb_error(err, LB_EXIT_CONFLICT, "too many checks have been asked for at a time: try again");
	return lb_error(err, LB_EXIT_FAILED, "backend \"%s\": the check cannot start: %s", be->name, strerror(-cause));
}

int control_check_start(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	struct control_asked *asked;
	int id = find(ctl, name, err);
	int ret;

	if (id < 0)
		return id;
	if (ctl->asked[id] && ctl->asked[id]->running) {
		snprintf(say->text, sizeof(say->text), "%s: a check runs already", name);
		return 0;
	}
	asked = calloc(1, sizeof(*asked));
	if (!asked)
		return lb_error(err, LB_EXIT_FAILED, "out of memory");
	asked->running = true;
	asked->begun_ns = clock_ns();
	ret = checks_run_now(ctl->checks, id, on_done, asked);
	if (ret) {
		free(asked);
		return refuse(ctl, id, ret, err);
	}
	control_check_forget(ctl, id); /* the one before */
	ctl->asked[id] = asked;
	snprintf(say->text, sizeof(say->text), "%s: a check runs", name);
	log_debug("%s", say->text);
	return 0;
}

int control_check_report(struct control *ctl, const char *name, struct check_report *out, struct lb_error *err)
{
	int id = find(ctl, name, err);
	const struct control_asked *asked;

	if (id < 0)
		return id;
	asked = ctl->asked[id];
	*out = (struct check_report) {
		.state = !asked ? CHECK_REPORT_NONE : asked->running ? CHECK_REPORT_RUNNING : CHECK_REPORT_DONE,
		.timeout_ms = ctl->config->pool->services[ctl->config->pool->backends[id].service].check.timeout_ms,
		.text = "", .dialogue = "",
	};
	if (out->state != CHECK_REPORT_DONE)
		return 0;
	out->result = asked->result;
	out->duration_us = asked->took_ns / 1000;
	out->text = asked->text;
	out->dialogue = asked->dialogue ? asked->dialogue : "* out of memory\n";
	return 0;
}
