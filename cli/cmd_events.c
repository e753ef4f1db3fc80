/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "lbctl events": what has happened lately, and, when asked, what happens from now on, until interrupted.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "../loader/api_names.h"
#include "cmd.h"
#include "print.h"

#define POLL_MS 500

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* Events from *since on; *since becomes the number of the next one. */
static enum lb_exit fetch(struct cmd_line *line, json_int_t *since, json_t **out)
{
	char path[64];
	enum lb_exit rc;

	snprintf(path, sizeof(path), API_EVENTS "?since=%lld", (long long)*since);
	rc = client_request(&line->client, "GET", path, NULL, out);
	if (rc == LB_EXIT_OK)
		*since = json_integer_value(json_object_get(*out, "next"));
	return rc;
}

/* What could not be kept until we asked, or was before a restart. */
static void note_gap(const json_t *doc, json_int_t wanted)
{
	const json_t *first = json_array_get(json_object_get(doc, "events"), 0);
	json_int_t seq = json_integer_value(json_object_get(first, "seq"));

	if (json_integer_value(json_object_get(doc, "next")) < wanted)
		print_note("the daemon was started again");
	else if (first && seq > wanted)
		print_note("%lld events were missed", (long long)(seq - wanted));
}

static void show_events(const struct cmd_line *line, const json_t *doc)
{
	const json_t *event;
	size_t i;

	if (!line->json)
		print_events(doc);
	else
		json_array_foreach(json_object_get(doc, "events"), i, event)
			print_json_line(stdout, event);
}

static enum lb_exit follow(struct cmd_line *line)
{
	const struct sigaction action = { .sa_handler = on_interrupt };
	json_int_t since = 0;
	bool first = true;

	sigaction(SIGINT, &action, NULL);
	while (!interrupted) {
		json_int_t wanted = since;
		json_t *doc = NULL;
		enum lb_exit rc = fetch(line, &since, &doc);

		if (rc != LB_EXIT_OK && interrupted)
			break;
		if (rc != LB_EXIT_OK) {
			print_fail("%s", line->client.error);
			return rc;
		}
		if (!first)
			note_gap(doc, wanted);
		if (since < wanted)
			since = 1;	/* another daemon, other numbers: all of them, at the next turn */
		else
			show_events(line, doc);
		first = false;
		json_decref(doc);
		if (ferror(stdout))
			return LB_EXIT_FAILED;
		cmd_pause(POLL_MS);
	}
	return LB_EXIT_OK;
}

enum lb_exit cmd_events(struct cmd_line *line)
{
	json_t *doc = NULL;
	json_int_t since = 0;
	enum lb_exit rc;

	if (line->option[OPT_FOLLOW])
		return follow(line);
	rc = fetch(line, &since, &doc);
	if (rc != LB_EXIT_OK)
		print_fail("%s", line->client.error);
	else if (line->json)
		print_json(stdout, doc);
	else if (json_array_size(json_object_get(doc, "events")) == 0)
		print_note("nothing has happened since the daemon was started");
	else
		print_events(doc);
	json_decref(doc);
	return rc;
}
